#pragma once

#include <whence/base/types.hpp>

namespace whence::inline v0 {

namespace internal {
struct socket_address;
}

/// Makes the calls on sockets that answer at once; what may wait is an operation of a driver.
/// shape: as the system calls of the same names (section 2 of the manual). A driver that is no
/// kernel answers them itself, so the code above is the same for all.
/// limits: those of a simulation belong to its thread.
/// errors: minus errno.
class socket_calls {
public:
    socket_calls() = default;
    socket_calls(const socket_calls&) = delete;
    socket_calls& operator=(const socket_calls&) = delete;
    virtual ~socket_calls() = default;

    /// Gives a descriptor, closed by exec(2).
    virtual int open(int family, int type) noexcept = 0;
    virtual int bind(int fd, const internal::socket_address& local) noexcept = 0;
    virtual int listen(int fd, int backlog) noexcept = 0;
    /// Ask for the two ends: getsockname(2), getpeername(2).
    virtual int local(int fd, internal::socket_address& into) noexcept = 0;
    virtual int peer(int fd, internal::socket_address& into) noexcept = 0;
    virtual int set_option(int fd, int level, int name, const void* value, u32 size) noexcept = 0;
    /// `size`: in: bytes of room; out: bytes of the value.
    virtual int option(int fd, int level, int name, void* value, u32& size) noexcept = 0;
    /// Closes a descriptor that nothing is in flight on.
    virtual void close(int fd) noexcept = 0;
};

/// The kernel's own. From any thread.
socket_calls& kernel_sockets() noexcept;

namespace internal {

/// Are the running runtime's; null outside of one.
extern constinit thread_local socket_calls* current_sockets;

/// Gives the running runtime's, or the kernel's outside of one.
inline socket_calls& sockets_here() noexcept
{
    return current_sockets ? *current_sockets : kernel_sockets();
}

}  // namespace internal

}  // namespace whence::inline v0

#include <whence/runtime/socket_calls.hpp>

#include <whence/address/socket_address.hpp>

#include <unistd.h>

#include <cerrno>

namespace whence::inline v0 {

constinit thread_local socket_calls* internal::current_sockets = nullptr;

namespace {

using internal::socket_address;

int outcome_of(int result) noexcept
{
    return result < 0 ? -errno : result;
}

class kernel_socket_calls final : public socket_calls {
public:
    int open(int family, int type) noexcept override
    {
        return outcome_of(::socket(family, type | SOCK_CLOEXEC, 0));
    }
    int bind(int fd, const socket_address& local) noexcept override
    {
        return outcome_of(::bind(fd, local.get(), local.size));
    }
    int listen(int fd, int backlog) noexcept override { return outcome_of(::listen(fd, backlog)); }
    int local(int fd, socket_address& into) noexcept override
    {
        into.size = sizeof into.storage;
        return outcome_of(::getsockname(fd, into.get(), &into.size));
    }
    int peer(int fd, socket_address& into) noexcept override
    {
        into.size = sizeof into.storage;
        return outcome_of(::getpeername(fd, into.get(), &into.size));
    }
    int set_option(int fd, int level, int name, const void* value, u32 size) noexcept override
    {
        return outcome_of(::setsockopt(fd, level, name, value, size));
    }
    int option(int fd, int level, int name, void* value, u32& size) noexcept override
    {
        return outcome_of(::getsockopt(fd, level, name, value, &size));
    }
    void close(int fd) noexcept override { ::close(fd); }
};

}  // namespace

socket_calls& kernel_sockets() noexcept
{
    static kernel_socket_calls calls;
    return calls;
}

}  // namespace whence::inline v0

#pragma once

#include <whence/coro/operation.hpp>
#include <whence/coro/time.hpp>
#include <whence/runtime/buffers.hpp>
#include <whence/runtime/runtime_metrics.hpp>
#include <whence/runtime/socket_calls.hpp>

#include <memory>
#include <stdexcept>
#include <string>

namespace whence::inline v0 {

/// Carries a connection's bytes: the driver itself for a plain socket, a stream above it otherwise.
class transport : public carrier {
public:
    /// Forgets and closes a descriptor on which nothing is in flight: FIN, once all is sent.
    virtual void close(int fd) noexcept = 0;
    /// The same with RST: what was not delivered yet is dropped.
    virtual void abort(int fd) noexcept = 0;
    /// Ends our direction (FIN); the other one goes on.
    virtual void shutdown_write(int fd) noexcept = 0;
};

/// Stands between operations and what carries them out at last: io_uring, a reactor, a simulation.
/// limits: one thread, wake() aside. Completions are delivered inside wait() only.
class driver : public transport {
public:
    /// Waits at most `at_most` for completions and delivers them; zero does not wait.
    virtual void wait(nanoseconds at_most) noexcept = 0;
    /// Ends a wait() of the driver's thread, or the next one. From any thread, or a signal handler.
    virtual void wake() noexcept = 0;
    virtual time_point now() noexcept = 0;
    /// Tells the time of day: since 1970-01-01 UTC.
    virtual nanoseconds wall_now() noexcept = 0;
    virtual buffer_pool& buffers() noexcept = 0;
    /// Makes the calls on sockets that answer at once.
    virtual socket_calls& sockets() noexcept { return kernel_sockets(); }
    virtual const driver_metrics& metrics() const noexcept = 0;
    /// Names it for whoever operates the server: "io_uring", "asio". Static.
    virtual const char* name() const noexcept { return "custom"; }
    /// Gives a descriptor that is readable while the driver may have something to deliver, for a
    /// loop that turns the runtime; -1: there is none. It stays the driver's, whose wait() reads
    /// it. errors: std::system_error.
    virtual int attention_fd() { return -1; }
};

/// Sizes what a driver allocates once, at its start.
struct driver_options {
    u32 entries = 1024;        // submissions a turn; more are handed over in portions
    u32 buffers_count = 1024;  // power of two, at most 32,768: receives that hold data at once
    u32 buffer_size = 4096;    // bytes, power of two: with the count, 4 MiB for a runtime
};

/// Tells why a driver cannot run here, in words for whoever operates the machine.
class driver_unavailable : public std::runtime_error {
public:
    /// `error`: what the kernel said, a positive errno value; 0: it was not asked.
    explicit driver_unavailable(const std::string& what, int error = 0)
        : std::runtime_error(what), error_(error)
    {}

    int error() const noexcept { return error_; }

private:
    int error_;
};

/// Opens an io_uring for the calling thread.
/// errors: driver_unavailable, naming the cause: seccomp, sysctl, kernel version or a limit.
/// source: io_uring_setup(2), io_uring_register(2).
std::unique_ptr<driver> open_uring_driver(const driver_options& options = {});

/// Opens Asio's reactor (epoll) for the calling thread: for machines that have no io_uring. The
/// system calls are made inside wait(), and none of them blocks; docs/drivers.md.
/// limits: switches the sockets that it waits for to non-blocking mode, no other descriptors.
/// errors: std::system_error (a limit of descriptors or of memory).
/// source: docs/decisions/0009.
std::unique_ptr<driver> open_asio_driver(const driver_options& options = {});

}  // namespace whence::inline v0

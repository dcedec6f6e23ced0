#pragma once

#include <whence/net/connection.hpp>
#include <whence/net/socket.hpp>

namespace whence::inline v0 {

/// Accepts connections at one address.
/// limits: bound anywhere; accepts in one runtime, for one strand at a time. Up to 256 connections,
/// and what comes in the same turn, wait in the program for accept(), the backlog in the kernel.
class listener {
public:
    /// Opens a listening socket: TCP, where port 0 takes a free one, or UNIX (see local()). A UNIX
    /// path that a dead server has left is taken over; the path goes with the listener.
    /// limits: a path of 108 bytes; PATH.lock exists while it is being bound.
    /// errors: std::system_error naming the address and the step; so too when somebody listens at
    /// the path or a file that is no socket is there.
    static listener bind(const endpoint& local, const listen_options& options = {});
    /// The same for an address as text, such as "[::]:7000", "127.0.0.1:0" or "unix:/run/a.sock".
    /// errors: std::invalid_argument when it is none.
    static listener bind(std::string_view local, const listen_options& options = {});

    /// Takes over a descriptor on which somebody else has called listen(). Its backlog and what
    /// connections inherit are set from the options; how it was bound, its O_NONBLOCK and its UNIX
    /// path remain its opener's affair.
    /// errors: std::system_error naming the descriptor: it is not open, no socket, no stream of TCP
    /// or UNIX, or does not listen. It is still the caller's then.
    static listener adopt(int fd, const listen_options& options = {});

    /// Opens another listener at the same address with the same options, for another runtime: the
    /// kernel spreads new connections over all of them by a hash.
    /// errors: std::system_error when this one was opened without reuse_port, or is no TCP one.
    listener clone() const;

    listener(listener&&) noexcept;
    /// Stops listening. Connections that were not accepted are reset.
    ~listener();

    /// The address that clients connect to, with the real port.
    const endpoint& local() const noexcept;
    /// The descriptor, for options that listen_options does not have.
    int native_handle() const noexcept;

    /// Waits for a connection.
    /// errors: std::system_error; EMFILE and the like may pass, the listener stays usable.
    class accept_awaiter;
    accept_awaiter accept(std::source_location where = std::source_location::current()) noexcept;

private:
    class acceptor;
    explicit listener(std::unique_ptr<acceptor> opened) noexcept;

    std::unique_ptr<acceptor> acceptor_;
};

class [[nodiscard]] listener::accept_awaiter {
public:
    explicit accept_awaiter(acceptor& at) noexcept : at_(at) {}

    bool await_ready() noexcept;
    bool await_suspend(std::coroutine_handle<> waiter) noexcept;
    connection await_resume();
    result<connection> outcome() noexcept;

private:
    acceptor& at_;
    std::optional<int> accepted_;
};

}  // namespace whence::inline v0

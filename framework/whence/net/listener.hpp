#pragma once

#include <whence/net/connection.hpp>
#include <whence/net/socket.hpp>

namespace whence::inline v0 {

/// Accepts connections at one address.
/// limits: bound anywhere; accepts in one runtime, for one strand at a time.
class listener {
public:
    /// Opens a listening socket; port 0 takes a free one (see local()).
    /// errors: std::system_error naming the address and the step.
    static listener bind(const endpoint& local, const listen_options& options = {});
    /// The same for an address as text, such as "[::]:7000" or "127.0.0.1:0".
    /// errors: std::invalid_argument when it is none.
    static listener bind(std::string_view local, const listen_options& options = {});

    listener(listener&&) noexcept;
    /// Stops listening. Connections that were not accepted are reset.
    ~listener();

    /// The address that clients connect to, with the real port.
    const endpoint& local() const noexcept;

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

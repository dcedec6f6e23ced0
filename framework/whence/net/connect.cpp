#include <whence/net/connect.hpp>

#include <whence/address/socket_address.hpp>
#include <whence/net/socket.hpp>
#include <whence/runtime/runtime.hpp>

namespace whence::inline v0 {

namespace {

/// Awaits the kernel's connect; the address lives in the caller's frame meanwhile.
class connect_awaiter {
public:
    connect_awaiter(int fd, internal::socket_address& remote) noexcept : fd_(fd), remote_(remote) {}

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) noexcept
    {
        strand& self = *internal::ctx.current;
        self.what = verb::connect;
        self.fd = fd_;
        self.data = remote_.get();
        self.size = remote_.size;
        return start_wait(runtime::current().io(), waiter);
    }
    int await_resume() const noexcept { return internal::ctx.current->result; }

private:
    int fd_;
    internal::socket_address& remote_;
};

}  // namespace

task<connection> connect(endpoint remote)
{
    socket_handle opened = open_stream_socket(remote);
    internal::socket_address address = internal::to_socket_address(remote);
    note_wait(std::source_location::current());
    connect_awaiter connecting{opened.get(), address};
    const int result = co_await connecting;
    if (result < 0) {
        const std::string step = "connect to " + to_string(remote);
        throw_error(-result, step.c_str());
    }
    endpoint local = local_of(opened.get());
    co_return connection{runtime::current().io(), opened.release(), std::move(remote),
                         std::move(local)};
}

}  // namespace whence::inline v0

#include <whence/net/listener.hpp>

#include <whence/net/listener_socket.hpp>
#include <whence/runtime/runtime.hpp>

#include <deque>
#include <new>
#include <stdexcept>

namespace whence::inline v0 {

namespace {

// Connections that nobody has taken yet. The kernel's queue, which backlog bounds, is the better
// place for more of them: they have no descriptor there. A burst of more than these in one turn
// costs a cancellation and a new start.
constexpr std::size_t arrived_max = 256;

}  // namespace

/// Keeps the accept operation, which lives until its last completion, and what it brought that
/// nobody has taken yet.
class listener::acceptor final : public carrier {
public:
    acceptor(internal::listener_socket socket, const listen_options& options)
        : socket_(std::move(socket)), options_(options), local_(local_of(socket_.handle.get())),
          wildcard_(!local_.is_ip() || local_.address().is_unspecified())
    {
        accepting_.self = this;
        accepting_.done = [](operation& op) noexcept {
            static_cast<accept_operation&>(op).self->on_accepted(op.result);
        };
    }

    ~acceptor() override
    {
        for (const int fd : arrived_)
            drop(fd);
    }

    /// Ends, at once or with the accept operation's last completion.
    static void let_go(std::unique_ptr<acceptor> self) noexcept
    {
        self->socket_.path.remove();
        if (self->accepting_.state == operation_state::idle)
            return;
        self->abandoned_ = true;
        whence::cancel(self.release()->accepting_);
    }

    const endpoint& local() const noexcept { return local_; }
    int fd() const noexcept { return socket_.handle.get(); }
    const listen_options& options() const noexcept { return options_; }

    std::optional<int> take() noexcept
    {
        if (arrived_.empty())
            return std::nullopt;
        const int accepted = arrived_.front();
        arrived_.pop_front();
        return accepted;
    }

    result<connection> make_connection(socket_handle accepted) const
    {
        // Multishot accept does not tell the peer's address.
        endpoint peer = peer_of(accepted.get());
        if (peer.empty())
            return error_of(ECONNABORTED);
        // A listener on one address knows the local end of what it accepts.
        endpoint local = wildcard_ ? local_of(accepted.get()) : local_;
        return connection{runtime::current().io(), accepted.release(), std::move(peer),
                          std::move(local)};
    }

    void submit(operation& op) noexcept override
    {
        expects(waiter_ == nullptr, "one strand accepts from a listener at a time");
        waiter_ = &op;
        if (accepting_.state == operation_state::idle)
            start();
    }

    void cancel(operation& op) noexcept override
    {
        waiter_ = nullptr;
        complete(op, -ECANCELED);
    }

private:
    struct accept_operation : operation {
        acceptor* self = nullptr;
    };

    /// Closes a connection that nobody will serve; nothing to do for an error.
    void drop(int accepted) noexcept
    {
        if (accepted >= 0)
            socket_.handle.calls().close(accepted);
    }

    void start() noexcept
    {
        accepting_.what = verb::accept_many;
        accepting_.fd = fd();
        whence::submit(accepting_, runtime::current().io());
    }

    void on_accepted(int accepted) noexcept
    {
        const bool over = accepting_.state == operation_state::idle;
        const bool paused = over && std::exchange(pausing_, false);
        if (abandoned_) {
            drop(accepted);
            if (over)
                delete this;
        } else if (accepted == -ECANCELED && paused) {
            if (waiter_)  // it came while the accepting was on its way to an end
                start();
        } else if (waiter_) {
            complete(*std::exchange(waiter_, nullptr), accepted);
        } else if (accepted != -ECANCELED) {  // its driver went before it: the next one starts anew
            keep(accepted);
        }
    }

    /// Keeps it for the next accept(), and ends the accepting when that is late in coming. Without
    /// memory there is a connection less.
    void keep(int accepted) noexcept
    {
        try {
            arrived_.push_back(accepted);
        } catch (const std::bad_alloc&) {
            drop(accepted);
        }
        if (arrived_.size() >= arrived_max && accepting_.state == operation_state::in_flight) {
            pausing_ = true;
            whence::cancel(accepting_);
        }
    }

    internal::listener_socket socket_;
    listen_options options_;
    endpoint local_;
    bool wildcard_;
    bool abandoned_ = false;
    bool pausing_ = false;  // the accepting was cancelled because nobody took what it brought
    accept_operation accepting_;
    operation* waiter_ = nullptr;
    std::deque<int> arrived_;  // descriptors, or a minus errno that ended the accepting
};

listener::listener(std::unique_ptr<acceptor> opened) noexcept : acceptor_(std::move(opened)) {}
listener::listener(listener&&) noexcept = default;

listener::~listener()
{
    if (acceptor_)
        acceptor::let_go(std::move(acceptor_));
}

listener listener::bind(const endpoint& local, const listen_options& options)
{
    return listener{
        std::make_unique<acceptor>(internal::open_listener_socket(local, options), options)};
}

listener listener::bind(std::string_view local, const listen_options& options)
{
    const auto parsed = endpoint::parse(local);
    if (!parsed)
        throw std::invalid_argument(parsed.error());
    return bind(*parsed, options);
}

listener listener::adopt(int fd, const listen_options& options)
{
    internal::adopt_listener_socket(fd, options);
    return listener{
        std::make_unique<acceptor>(internal::listener_socket{socket_handle{fd}, {}}, options)};
}

listener listener::clone() const
{
    return bind(local(),
                internal::options_of_clone(acceptor_->fd(), local(), acceptor_->options()));
}

int listener::native_handle() const noexcept
{
    return acceptor_->fd();
}

const endpoint& listener::local() const noexcept
{
    return acceptor_->local();
}

listener::accept_awaiter listener::accept(std::source_location where) noexcept
{
    note_wait(where);
    return accept_awaiter{*acceptor_};
}

bool listener::accept_awaiter::await_ready() noexcept
{
    accepted_ = at_.take();
    return accepted_.has_value();
}

bool listener::accept_awaiter::await_suspend(std::coroutine_handle<> waiter) noexcept
{
    return start_wait(at_, waiter);
}

result<connection> listener::accept_awaiter::outcome() noexcept
{
    const int fd = accepted_ ? *accepted_ : internal::ctx.current->result;
    if (fd < 0)
        return error_of(-fd);
    try {
        return at_.make_connection(socket_handle{fd});
    } catch (const std::bad_alloc&) {
        return error_of(ENOMEM);
    }
}

connection listener::accept_awaiter::await_resume()
{
    auto accepted = outcome();
    if (!accepted)
        throw_error(accepted.error().value(), "accept");
    return std::move(*accepted);
}

}  // namespace whence::inline v0

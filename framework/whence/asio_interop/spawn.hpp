#pragma once

#include <whence/asio_interop/hosted_runtime.hpp>
#include <whence/coro/deadline.hpp>

#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/error.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/system_executor.hpp>

#include <atomic>
#include <optional>

namespace whence::inline v0::asio_interop {

namespace internal {

inline void send(hosted_runtime& there, whence::internal::message& one)
{
    there.send(one);
}
inline void send(runtime& there, whence::internal::message& one)
{
    there.mail().push(one);
}
inline runtime& runtime_of(hosted_runtime& there) noexcept
{
    return there.get();
}
inline runtime& runtime_of(runtime& there) noexcept
{
    return there;
}
inline auto default_executor(hosted_runtime& there) noexcept
{
    return there.host().get_executor();
}
inline asio::system_executor default_executor(runtime&) noexcept
{
    return {};
}

/// Keeps what a task gives, until the handler is called.
template <class T>
struct spawned_outcome {
    std::optional<T> value;

    task<> keep(task<T> work)
    {
        T given = co_await work;
        value.emplace(std::move(given));
    }
    template <class Handler>
    void give(Handler handler, std::exception_ptr error)
    {
        std::move(handler)(std::move(error), value ? std::move(*value) : T());
    }
};
template <>
struct spawned_outcome<void> {
    task<> keep(task<> work) const { return work; }
    template <class Handler>
    void give(Handler handler, std::exception_ptr error)
    {
        std::move(handler)(std::move(error));
    }
};

/// Carries a task to its runtime, a stop after it, and the outcome back to the handler.
template <class There, class T, class Handler>
class spawned_call : public std::enable_shared_from_this<spawned_call<There, T, Handler>> {
public:
    spawned_call(There& there, task<T> work, Handler handler)
        : there_(there), work_(std::move(work)), handler_(std::move(handler)),
          at_(asio::get_associated_executor(handler_, default_executor(there)))
    {}

    void start()
    {
        auto slot = asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) {
            slot.assign([weak = this->weak_from_this()](asio::cancellation_type type) {
                const auto self = weak.lock();
                if (self && type != asio::cancellation_type::none)
                    self->ask_to_stop();
            });
        }
        start_.keeps = this->shared_from_this();
        start_.receive = [](whence::internal::message& one) noexcept {
            const auto self = std::move(static_cast<leg&>(one).keeps);
            self->start_there();
        };
        send(there_, start_);
    }

private:
    struct leg : whence::internal::message {
        std::shared_ptr<spawned_call> keeps;  // while it is on its way
    };

    void ask_to_stop()
    {
        if (ended_ || std::exchange(asked_to_stop_, true))
            return;
        stop_.keeps = this->shared_from_this();
        stop_.receive = [](whence::internal::message& one) noexcept {
            const auto self = std::move(static_cast<leg&>(one).keeps);
            self->stop_there();
        };
        send(there_, stop_);
    }

    void start_there() noexcept
    {
        try {
            runtime_of(there_).root().spawn(run(this->shared_from_this()));
        } catch (const std::bad_alloc&) {
            error_ = std::current_exception();
            come_back();
        }
    }
    void stop_there() noexcept
    {
        stopped_ = true;
        if (running_)
            running_->stop();
    }

    static whence::internal::spawned run(std::shared_ptr<spawned_call> self)
    {
        try {
            deadline stoppable{nanoseconds::max()};
            self->running_ = &stoppable;
            if (self->stopped_)
                stoppable.stop();
            task<> working = self->outcome_.keep(std::move(*self->work_));
            co_await working;
        } catch (const cancelled&) {
            self->error_ = std::make_exception_ptr(
                std::system_error(asio::error::operation_aborted, "spawned task"));
        } catch (...) {
            self->error_ = std::current_exception();
        }
        self->running_ = nullptr;
        self->come_back();
    }

    /// The handler is called by its executor, not in the middle of a turn.
    void come_back()
    {
        work_.reset();
        ended_ = true;
        asio::post(at_.get_executor(),
                   [self = this->shared_from_this()]() mutable { give(std::move(self)); });
    }

    static void give(std::shared_ptr<spawned_call> self)
    {
        asio::get_associated_cancellation_slot(self->handler_).clear();
        // Handlers find the memory of their operation free.
        const auto working = std::move(self->at_);
        Handler handler = std::move(self->handler_);
        std::exception_ptr error = std::move(self->error_);
        spawned_outcome<T> outcome = std::move(self->outcome_);
        self.reset();
        outcome.give(std::move(handler), std::move(error));
    }

    using executor = decltype(asio::get_associated_executor(
        std::declval<const Handler&>(), default_executor(std::declval<There&>())));

    There& there_;
    std::optional<task<T>> work_;
    Handler handler_;
    asio::executor_work_guard<std::decay_t<executor>> at_;
    leg start_;
    leg stop_;
    bool asked_to_stop_ = false;  // used where the handler lives
    bool stopped_ = false;        // these are used by the runtime
    cancel_scope* running_ = nullptr;
    std::atomic<bool> ended_ = false;
    std::exception_ptr error_;
    spawned_outcome<T> outcome_;
};

template <class T>
struct spawn_signature_of {
    using type = void(std::exception_ptr, T);
};
template <>
struct spawn_signature_of<void> {
    using type = void(std::exception_ptr);
};

}  // namespace internal

/// Is what spawn() completes with: the exception, if the task threw, and its value.
template <class T>
using spawn_signature = typename internal::spawn_signature_of<T>::type;

/// Runs a task in a whence runtime and completes when it has ended, by any completion token:
///   std::string answer = co_await asio_interop::spawn(here, ask(server), asio::use_awaitable);
/// shape: `there` is a hosted_runtime, or a runtime that runs in another thread; it outlives the
/// task. `work` refers only to what lives as long.
/// resumes: the token's handler through its executor (without one: the io_context of a
/// hosted_runtime, Asio's system executor otherwise). From any thread.
/// limits: T is default constructible, as for asio::co_spawn.
/// errors: what the task threw; asio::error::operation_aborted for `cancelled`. The operation's
/// cancellation (any type) stops the task, and completes it when that has ended.
template <class There, class T, asio::completion_token_for<spawn_signature<T>> Token>
auto spawn(There& there, task<T> work, Token&& token)
{
    return asio::async_initiate<Token, spawn_signature<T>>(
        [&there](auto handler, task<T> to_do) {
            using call = internal::spawned_call<There, T, decltype(handler)>;
            std::make_shared<call>(there, std::move(to_do), std::move(handler))->start();
        },
        token, std::move(work));
}

}  // namespace whence::inline v0::asio_interop

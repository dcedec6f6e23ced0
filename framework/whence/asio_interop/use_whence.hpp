#pragma once

#include <whence/coro/task.hpp>
#include <whence/runtime/runtime.hpp>

#include <asio/associated_cancellation_slot.hpp>
#include <asio/async_result.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/error.hpp>

#include <optional>
#include <tuple>

namespace whence::inline v0::asio_interop {

/// Makes an operation of Asio's something that a task awaits:
///   const std::size_t n = co_await socket.async_read_some(buffer, use_whence());
///   auto connecting = as_result(socket.async_connect(to, use_whence()));
/// Its value is what follows the error in the completion's signature: nothing, one value, or a
/// std::tuple of several.
/// resumes: the strand, in a turn of its runtime, never inside Asio's handler.
/// shape: lazy: the operation starts when it is awaited. What it works on and borrows (socket,
/// timer, buffers) must stay until it has completed, also when it is cancelled. limits: the
/// operation's io_context is run by the thread of the runtime (hosted_runtime). A stop emits the
/// operation's cancellation (all types) and waits for its completion: one that cannot be cancelled,
/// such as a name look-up, is waited for to its end. errors: std::system_error, or what the
/// operation throws; `cancelled` when the strand was stopped and the operation has ended for that.
class use_whence {
public:
    /// Notes where the strand waits, for dumps.
    explicit use_whence(std::source_location where = std::source_location::current()) noexcept
        : where_(where)
    {}
    const std::source_location& where() const noexcept { return where_; }

private:
    std::source_location where_;
};

namespace internal {

/// Is a strand's wait for something outside that ends by calling a handler.
class handler_wait : carrier {
public:
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) noexcept
    {
        note_wait(where_);
        return start_wait(*this, waiter);
    }

    asio::cancellation_slot slot() noexcept { return signal_.slot(); }
    /// The operation has ended: the strand becomes ready when its runtime reads its mail.
    void came() noexcept
    {
        if (!std::exchange(came_, true))
            home_->mail().push(back_);
    }
    /// The operation could not be started, or its outcome could not be kept.
    void came_to_nothing(std::exception_ptr error) noexcept
    {
        thrown_ = std::move(error);
        came();  // unless the handler has gone with what threw
    }

protected:
    explicit handler_wait(const std::source_location& where) noexcept : where_(where)
    {
        back_.self = this;
        back_.receive = [](whence::internal::message& one) noexcept {
            complete(*static_cast<way_back&>(one).self->op_, 0);
        };
    }
    handler_wait(handler_wait&& other) noexcept : handler_wait(other.where_) {}
    ~handler_wait() override = default;

    /// errors: as the initiation of the operation.
    virtual void initiate() = 0;

    /// Rethrows what came instead of a handler's call.
    void check_came() const
    {
        if (!home_)
            throw cancelled{};
        if (thrown_)
            std::rethrow_exception(thrown_);
    }
    [[noreturn]] static void fail(const std::error_code& error)
    {
        if (error == asio::error::operation_aborted && whence::internal::ctx.current->stopped)
            throw cancelled{};
        throw std::system_error(error, "asio operation");
    }
    [[noreturn]] static void fail(const std::exception_ptr& error)
    {
        try {
            std::rethrow_exception(error);
        } catch (const std::system_error& known) {
            if (known.code() == asio::error::operation_aborted)
                fail(known.code());
            throw;
        }
    }

private:
    struct way_back : whence::internal::message {
        handler_wait* self = nullptr;
    };

    void submit(operation& op) noexcept override
    {
        op_ = &op;
        home_ = &runtime::current();
        try {
            initiate();
        } catch (...) {
            came_to_nothing(std::current_exception());
        }
    }
    void cancel(operation&) noexcept override
    {
        // Between the handler and the mail the operation is still in flight here, but not there.
        if (!came_)
            signal_.emit(asio::cancellation_type::all);
    }

    std::source_location where_;
    operation* op_ = nullptr;
    runtime* home_ = nullptr;  // null: never started
    bool came_ = false;
    way_back back_;
    std::exception_ptr thrown_;
    asio::cancellation_signal signal_;
};

/// Tells what a completion's arguments mean: an error in front, or values alone.
template <class... Values>
struct completion {
    static constexpr bool fails = false;
    using values = std::tuple<Values...>;
};
template <class... Values>
struct completion<std::error_code, Values...> : completion<Values...> {
    static constexpr bool fails = true;
};
template <class... Values>
struct completion<std::exception_ptr, Values...> : completion<Values...> {
    static constexpr bool fails = true;
};

template <class Values>
struct awaited_value {
    using type = Values;
};
template <>
struct awaited_value<std::tuple<>> {
    using type = void;
};
template <class Value>
struct awaited_value<std::tuple<Value>> {
    using type = Value;
};

/// Holds what a handler was called with.
template <class... Args>
class handler_outcome : public handler_wait {
public:
    using value_type = typename awaited_value<typename completion<Args...>::values>::type;

    template <class... Given>
    void take(Given&&... given) noexcept
    {
        try {
            came_with_.emplace(std::forward<Given>(given)...);
            came();
        } catch (...) {
            came_to_nothing(std::current_exception());
        }
    }

    value_type await_resume()
    {
        check_came();
        return std::apply(
            [](auto&... all) -> value_type {
                if constexpr (completion<Args...>::fails)
                    return value_or_failure(all...);
                else
                    return value(all...);
            },
            *came_with_);
    }

    /// Gives the value or the error as a code; as_result asks for it.
    auto outcome() -> std::conditional_t<std::is_void_v<value_type>, std::error_code,
                                         whence::internal::result_of<value_type>>
    {
        try {
            if constexpr (std::is_void_v<value_type>) {
                await_resume();
                return {};
            } else {
                return await_resume();
            }
        } catch (const cancelled&) {
            return error_of(ECANCELED);
        } catch (const std::system_error& error) {
            return error.code();
        }
    }

protected:
    using handler_wait::handler_wait;

private:
    template <class Error, class... Values>
    static value_type value_or_failure(Error& error, Values&... values)
    {
        if (error)
            fail(error);
        return value(values...);
    }
    template <class... Values>
    static value_type value(Values&... values)
    {
        if constexpr (!std::is_void_v<value_type>)
            return value_type(std::move(values)...);
    }

    std::optional<std::tuple<Args...>> came_with_;
};

/// Is what Asio calls. One that goes without having been called (an io_context that is destroyed)
/// ends the wait as well.
template <class Outcome>
class strand_handler {
public:
    using cancellation_slot_type = asio::cancellation_slot;

    explicit strand_handler(Outcome& to) noexcept : to_(&to), slot_(to.slot()) {}
    strand_handler(strand_handler&& other) noexcept
        : to_(std::exchange(other.to_, nullptr)), slot_(other.slot_)
    {}
    strand_handler& operator=(strand_handler&&) = delete;
    ~strand_handler()
    {
        if (to_)
            to_->came_to_nothing(std::make_exception_ptr(
                std::system_error(asio::error::operation_aborted, "asio operation")));
    }

    cancellation_slot_type get_cancellation_slot() const noexcept { return slot_; }

    template <class... Given>
    void operator()(Given&&... given)
    {
        std::exchange(to_, nullptr)->take(std::forward<Given>(given)...);
    }

private:
    Outcome* to_;
    asio::cancellation_slot slot_;
};

/// Starts an operation when it is awaited.
template <class Initiation, class InitiationArgs, class... Args>
class [[nodiscard]] asio_awaiter final : public handler_outcome<Args...> {
public:
    template <class Start, class... With>
    asio_awaiter(const use_whence& token, Start&& start, With&&... with)
        : handler_outcome<Args...>(token.where()), initiation_(std::forward<Start>(start)),
          with_(std::forward<With>(with)...)
    {}
    asio_awaiter(asio_awaiter&&) = default;

private:
    void initiate() override
    {
        std::apply(
            [this](auto&... with) {
                std::move(initiation_)(strand_handler<handler_outcome<Args...>>{*this},
                                       std::move(with)...);
            },
            with_);
    }

    Initiation initiation_;
    InitiationArgs with_;
};

}  // namespace internal

}  // namespace whence::inline v0::asio_interop

namespace asio {

/// Makes use_whence a completion token.
template <class R, class... Args>
struct async_result<whence::asio_interop::use_whence, R(Args...)> {
    template <class Initiation, class... With>
    static auto initiate(Initiation&& initiation, whence::asio_interop::use_whence token,
                         With&&... with)
    {
        return whence::asio_interop::internal::asio_awaiter<
            std::decay_t<Initiation>, std::tuple<std::decay_t<With>...>, std::decay_t<Args>...>{
            token, std::forward<Initiation>(initiation), std::forward<With>(with)...};
    }
};

}  // namespace asio

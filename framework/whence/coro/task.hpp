#pragma once

#include <whence/coro/errors.hpp>
#include <whence/coro/frame_pool.hpp>
#include <whence/coro/strand.hpp>

#include <optional>

namespace whence::inline v0 {

template <class T = void>
class task;

namespace internal {

/// Is result<T> where there is such a type: not for void.
template <class T>
struct make_result {
    using type = result<T>;
};
template <>
struct make_result<void> {
    using type = void;
};
template <class T>
using result_of = typename make_result<T>::type;

struct task_promise_base {
    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }

    struct final_awaiter {
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        void await_suspend(std::coroutine_handle<Promise> ended) const noexcept
        {
            internal::ctx.resume_next = ended.promise().continuation;
        }
        void await_resume() const noexcept {}
    };

    std::suspend_always initial_suspend() const noexcept { return {}; }
    final_awaiter final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { store_error(std::current_exception()); }

    std::coroutine_handle<> continuation;
};

template <class T>
struct task_promise : task_promise_base {
    task<T> get_return_object() noexcept;

    template <class Value>
        requires std::constructible_from<T, Value>
    void return_value(Value&& value)
    {
        result.emplace(std::forward<Value>(value));
    }

    T take() { return std::move(*result); }

    std::optional<T> result;
};

template <>
struct task_promise<void> : task_promise_base {
    task<void> get_return_object() noexcept;
    void return_void() const noexcept {}
    void take() const noexcept {}
};

}  // namespace internal

/// Is a coroutine that somebody awaits: lazy, with one owner, and its own awaiter.
/// resumes: the child starts inside the await and runs until it first waits; one that never waits
/// costs no stack, however many are awaited in a row. After a wait the loop resumes it.
/// limits: awaited at most once; destroyed before its start, or after its end.
/// errors: rethrows what the coroutine threw.
template <class T>
class [[nodiscard]] task {
public:
    using promise_type = internal::task_promise<T>;
    using value_type = T;

    task(task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    task& operator=(task&&) = delete;
    ~task()
    {
        if (handle_)
            handle_.destroy();
    }

    bool await_ready() const noexcept { return false; }

    // No symmetric transfer: it grows the stack on g++ 12 without optimisation or with sanitizers,
    // and is slower on both compilers (docs/decisions/0001).
    bool await_suspend(std::coroutine_handle<> parent) noexcept
    {
        expects(handle_ && !handle_.done(), "a task is awaited once, and not where it moved from");
        handle_.resume();
        if (handle_.done())
            return false;
        handle_.promise().continuation = parent;
        return true;
    }

    T await_resume()
    {
        if (internal::ctx.error) [[unlikely]]
            internal::rethrow_error();
        return handle_.promise().take();
    }

    /// Gives the value, or the error code of a std::system_error or a cancellation; as_result asks
    /// for it. An empty code stands for success where there is no value.
    auto outcome() -> std::conditional_t<std::is_void_v<T>, std::error_code, internal::result_of<T>>
    {
        if (internal::ctx.error) [[unlikely]]
            return internal::take_error_code();
        if constexpr (std::is_void_v<T>)
            return {};
        else
            return handle_.promise().take();
    }

private:
    friend promise_type;
    explicit task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}

    std::coroutine_handle<promise_type> handle_;
};

template <class T>
task<T> internal::task_promise<T>::get_return_object() noexcept
{
    return task<T>{std::coroutine_handle<task_promise>::from_promise(*this)};
}

inline task<void> internal::task_promise<void>::get_return_object() noexcept
{
    return task<void>{std::coroutine_handle<task_promise>::from_promise(*this)};
}

}  // namespace whence::inline v0

#pragma once

#include <whence/coro/scope.hpp>

namespace whence::inline v0 {

/// Bounds what the current strand does while this object lives: a cancel scope with a clock.
/// resumes: at its moment it stops itself; what the strand waits for is cancelled.
/// limits: entered and left by the strand that runs, in the order of a stack.
/// errors: none by itself. Whoever holds it asks expired(); with_deadline() turns it into
/// std::errc::timed_out.
class deadline : public cancel_scope, private timer {
public:
    explicit deadline(nanoseconds time_max) noexcept;
    explicit deadline(time_point due) noexcept;
    ~deadline() override;

    /// Moves the moment to `time_max` from now: a store.
    void refresh() noexcept { due_ = later(now(), time_max_); }
    const char* name() const noexcept override { return "deadline"; }
    /// Tells whether this clock, and nobody else, stopped it.
    bool expired() const noexcept { return expired_; }

protected:
    struct shield_tag {};
    deadline(nanoseconds time_max, shield_tag) noexcept;
    /// Gives the moment; asked when the last known one has come, it may give a later one.
    virtual time_point due() noexcept { return due_; }

private:
    void enter() noexcept;
    void stop_strands() noexcept override;
    void walk_strands(visitor, void*) override {}  // its strand is its scope's
    static void on_due(timer& self) noexcept;

    strand* inside_;
    nanoseconds time_max_;
    time_point due_;
    bool expired_ = false;
};

/// Lets the current strand work although its scope was stopped, for a bounded time: clean-up.
class shield : public deadline {
public:
    explicit shield(nanoseconds time_max) noexcept : deadline(time_max, shield_tag{}) {}
};

namespace internal {

[[noreturn]] void throw_timed_out();

/// Leaves a sleep to the wheel; also what cancels it.
class sleep_awaiter : timer, carrier {
public:
    explicit sleep_awaiter(time_point due) noexcept : timer(&on_due), due_(due) {}
    sleep_awaiter(sleep_awaiter&& other) noexcept : timer(&on_due), due_(other.due_) {}

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) noexcept
    {
        return start_wait(*this, waiter);
    }
    void await_resume() const;
    std::error_code outcome() const noexcept;

private:
    static void on_due(timer& self) noexcept;
    void submit(operation& op) noexcept override;
    void cancel(operation& op) noexcept override;

    time_point due_;
    operation* sleeper_ = nullptr;
};

}  // namespace internal

/// Waits for `time`, rounded up to a millisecond.
/// errors: cancelled.
[[nodiscard]] inline internal::sleep_awaiter
sleep_for(nanoseconds time, std::source_location where = std::source_location::current()) noexcept
{
    note_wait(where);
    return internal::sleep_awaiter{later(now(), time)};
}

/// Awaits `work` for at most `time_max`.
/// errors: std::system_error(timed_out) when this deadline, and not an outer scope, ended it.
template <class T>
task<T> with_deadline(nanoseconds time_max, task<T> work)
{
    deadline limit{time_max};
    try {
        co_return co_await work;
    } catch (const cancelled&) {
        if (!limit.expired())
            throw;
    }
    internal::throw_timed_out();
}

}  // namespace whence::inline v0

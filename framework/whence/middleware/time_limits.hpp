#pragma once

#include <whence/coro/deadline.hpp>
#include <whence/net/application.hpp>

namespace whence::inline v0 {

/// Sets how long a session's connection may stand still. A zero or negative time sets no limit.
struct time_limit_options {
    /// Nothing is received, no write completes and the peer takes nothing of one that waits.
    nanoseconds idle_time_max = nanoseconds::zero();
    /// A write waits, and the peer's system takes nothing of it.
    nanoseconds write_time_max = nanoseconds::zero();
};

namespace internal {

/// Stops what the strand does when its connection stands still for too long.
/// Nothing is armed or noted for an operation: a look at the connection's counters, eight times in
/// the shorter time, tells whether something moved.
class stall_watch : public deadline {
public:
    /// shape: borrows both.
    stall_watch(connection& conn, const time_limit_options& options) noexcept;

    /// Throws what the session's end by this limit looks like from outside.
    [[noreturn]] void throw_ended() const;

private:
    time_point due() noexcept override;
    void look(time_point at) noexcept;

    connection& conn_;
    const time_limit_options& options_;
    u64 received_;
    u64 sent_;
    u64 taken_ = 0;              // send_progress() of the write that waits
    time_point moved_at_;        // the last look that found a change
    time_point write_moved_at_;  // the last one that found progress, or no write
};

template <class Next>
task<> within_limits(connection& conn, const Next& next, const time_limit_options& options)
{
    stall_watch watch{conn, options};
    try {
        co_await next(conn);
        co_return;
    } catch (const cancelled&) {
        if (!watch.expired())
            throw;
    }
    watch.throw_ended();
}

}  // namespace internal

/// Ends sessions whose connection stands still: a wrapper. idle_time and write_time are this with
/// one limit each; both in one wrapper need one coroutine frame, and one timer.
///   idle           closed: FIN; RST if unread bytes wait or a write was cut short
///   write_stalled  reset, since the peer must not take a part for the whole
/// What the session waits for is cancelled: it may catch `cancelled` and write a farewell inside a
/// shield. All strands of the session count, and half-closed connections like others.
/// units: a session ends after the time, and at most an eighth of the shorter one later. What the
/// peer's system takes (TCP: acknowledges) is progress, at whatever rate.
/// limits: what was written and waits in the kernel is nobody's write any more: idle_time bounds
/// it. Nothing ends once the handler has closed the connection.
/// errors: std::errc::timed_out leaves the wrapper; connection::ended_by() names the limit, and
/// access_log tells it as the outcome. No line of its own: a quiet client is no fault of the
/// server.
class time_limits {
public:
    explicit time_limits(time_limit_options options) noexcept : options_(options) {}

    template <class Next>
    task<> operator()(connection& conn, const Next& next) const
    {
        const bool limited = options_.idle_time_max > nanoseconds::zero() ||
                             options_.write_time_max > nanoseconds::zero();
        return limited ? internal::within_limits(conn, next, options_) : next(conn);
    }

private:
    time_limit_options options_;
};

/// Ends a session on whose connection nothing moves for a time: `idle_time{60s}`.
class idle_time : public time_limits {
public:
    explicit idle_time(nanoseconds time_max) noexcept : time_limits({.idle_time_max = time_max}) {}
};

/// Ends a session whose peer stops reading: a write waits, and nothing of it is taken for a time.
class write_time : public time_limits {
public:
    explicit write_time(nanoseconds time_max) noexcept : time_limits({.write_time_max = time_max})
    {}
};

}  // namespace whence::inline v0

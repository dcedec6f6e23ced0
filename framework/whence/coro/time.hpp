#pragma once

#include <whence/base/types.hpp>

#include <chrono>

namespace whence::inline v0 {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using namespace std::chrono_literals;

/// Counts monotonic time since an arbitrary start. Its `now` is the current runtime's (the real
/// clock, or the simulated one), read at most once per turn of the loop.
struct loop_clock {
    using rep = i64;
    using period = std::nano;
    using duration = nanoseconds;
    using time_point = std::chrono::time_point<loop_clock>;
    static constexpr bool is_steady = true;

    static time_point now() noexcept;
};

/// Names a moment of the loop's clock.
using time_point = loop_clock::time_point;

/// Tells the current runtime's time.
inline time_point now() noexcept
{
    return loop_clock::now();
}

/// Gives the moment `time` after `from`, or the last there is: "never" may be written as
/// nanoseconds::max().
constexpr time_point later(time_point from, nanoseconds time) noexcept
{
    return time > time_point::max() - from ? time_point::max() : from + time;
}

}  // namespace whence::inline v0

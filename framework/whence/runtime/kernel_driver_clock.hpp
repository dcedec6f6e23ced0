#pragma once

// Not a public header: only drivers know the system's clocks.

#include <whence/coro/time.hpp>

#include <time.h>

namespace whence::inline v0 {

inline nanoseconds read_system_clock(clockid_t clock) noexcept
{
    timespec time{};
    clock_gettime(clock, &time);
    return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

}  // namespace whence::inline v0

#pragma once

#include <whence/coro/time.hpp>

#include <algorithm>
#include <utility>

namespace whence::inline v0 {

/// Lets through a burst and then so many a second; counts what it held back.
/// limits: one thread.
class rate_limit {
public:
    rate_limit(u32 per_second, u32 burst) noexcept
        : per_second_(per_second), burst_(burst), left_(burst)
    {}

    /// Tells whether one more may pass at `at`.
    bool pass(time_point at) noexcept
    {
        const auto whole = std::chrono::floor<seconds>(at - since_);
        if (whole.count() > 0) {
            const auto gained = static_cast<u64>(whole.count()) * per_second_;
            left_ = static_cast<u32>(std::min<u64>(burst_, left_ + gained));
            since_ += whole;
        }
        if (left_ == 0) {
            ++held_back_;
            return false;
        }
        --left_;
        return true;
    }

    /// Counts what was held back since the start.
    u64 held_back() const noexcept { return held_back_; }
    /// Gives the number held back since the last call.
    u64 take_held_back() noexcept { return held_back_ - std::exchange(taken_, held_back_); }

private:
    u32 per_second_;
    u32 burst_;
    u32 left_;
    u64 held_back_ = 0;
    u64 taken_ = 0;  // of those
    time_point since_{};
};

}  // namespace whence::inline v0

#pragma once

// Not a public header: a bound that threads share.

#include <whence/base/types.hpp>

#include <atomic>

namespace whence::inline v0::internal {

/// Counts up to a bound, exactly: of any number of threads, never one too many is let in.
class place_counter {
public:
    explicit place_counter(u32 count_max) noexcept : max_(count_max) {}

    bool take() noexcept
    {
        u32 count = taken_.load(std::memory_order_relaxed);
        do {
            if (count >= max_)
                return false;
        } while (!taken_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed));
        return true;
    }
    void give() noexcept { taken_.fetch_sub(1, std::memory_order_relaxed); }
    u32 taken() const noexcept { return taken_.load(std::memory_order_relaxed); }

private:
    const u32 max_;
    std::atomic<u32> taken_ = 0;
};

}  // namespace whence::inline v0::internal

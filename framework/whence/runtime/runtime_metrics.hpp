#pragma once

#include <whence/coro/time.hpp>
#include <whence/runtime/metric_block.hpp>

#include <memory>
#include <span>

namespace whence::inline v0 {

class driver;

/// Is what a driver counts.
struct driver_metrics {
    counter completions;  // delivered, those of accept_many each
    counter starved;      // receives that found data and no buffer, and queued for one
};

/// Holds what one runtime counts, and the blocks of counters that were added to it.
/// limits: written by the runtime's thread, read by any while the runtime lives.
class runtime_metrics {
public:
    /// `started`: since 1970-01-01 UTC; `driver_name`: driver::name().
    runtime_metrics(nanoseconds started, const char* driver_name) noexcept;
    runtime_metrics(const runtime_metrics&) = delete;
    runtime_metrics& operator=(const runtime_metrics&) = delete;
    ~runtime_metrics();

    /// Counts one turn of the loop: how long its strands and timers ran, and how many completions
    /// the wait behind it brought.
    void turn(nanoseconds busy, u64 completions) noexcept
    {
        loop_lag_.observe(static_cast<u64>(std::max(busy, nanoseconds::zero()).count()));
        turn_completions_.observe(completions);
    }
    /// Takes over the levels of what the thread and its driver hold.
    void sample(driver& io, u64 log_dropped, u64 log_held_back) noexcept;

    /// Adds a block, which stays as long as the runtime: a reader may be at it at any time. From
    /// any thread.
    /// errors: std::bad_alloc from whoever made it.
    template <class Block>
    Block& add(std::unique_ptr<Block> block) noexcept
    {
        Block& added = *block;
        take(std::move(block));
        return added;
    }

    /// Finds an added block for which `wanted` gives true; by the runtime's thread or any other.
    template <class Wanted>
    metric_block* find(Wanted wanted) const
    {
        metric_block* at = blocks_.load(std::memory_order_acquire);
        while (at && !wanted(*at))
            at = at->next_;
        return at;
    }

    /// Tells the runtime's own values, then those of the added blocks.
    void read(metric_reader& to) const;

    /// The runtime's own metrics, for whoever documents them.
    static std::span<const metric> all() noexcept;

private:
    void take(std::unique_ptr<metric_block> block) noexcept;

    nanoseconds started_;
    const char* driver_name_;
    histogram turn_completions_;
    histogram loop_lag_;
    gauge frames_;
    gauge frame_bytes_;
    gauge buffers_;
    gauge buffers_available_;
    counter buffers_copied_;
    counter buffers_starved_;
    counter log_dropped_;
    counter log_held_back_;
    std::atomic<metric_block*> blocks_{nullptr};
};

}  // namespace whence::inline v0

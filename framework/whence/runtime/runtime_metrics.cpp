#include <whence/runtime/runtime_metrics.hpp>

#include <whence/coro/frame_pool.hpp>
#include <whence/runtime/driver.hpp>

namespace whence::inline v0 {

namespace {

constexpr auto completions_bounds =
    std::to_array<u64>({0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024});

// Nanoseconds: 50 us to 1 s. A turn beyond some milliseconds is work that belongs elsewhere.
constexpr auto lag_bounds = std::to_array<u64>(
    {50'000, 100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 25'000'000,
     50'000'000, 100'000'000, 250'000'000, 1'000'000'000});

enum own : u8 {
    start_time,
    driver_info,
    turn_completions,
    loop_lag,
    frames,
    frame_bytes,
    buffers,
    buffers_available,
    buffers_copied,
    buffers_starved,
    log_dropped,
    log_held_back,
};

constexpr metric own_metrics[] = {
    {.name = "whence_start_time_seconds",
     .labels = "",
     .meaning = "When the program's first runtime started, in seconds since 1970 (UTC); the uptime "
                "is time() minus this.",
     .type = metric_type::gauge,
     .unit = metric_unit::time,
     .merge = metric_merge::smallest},
    {.name = "whence_driver_info",
     .labels = "driver",
     .meaning = "Always 1; the label names what carries operations out: io_uring, or asio where "
                "there is none.",
     .type = metric_type::gauge,
     .merge = metric_merge::smallest},
    {.name = "whence_turn_completions",
     .labels = "",
     .meaning = "Completed operations by turn of the loop; _count is the number of turns, _sum "
                "that of the operations.",
     .type = metric_type::histogram},
    {.name = "whence_loop_lag_seconds",
     .labels = "runtime",
     .meaning = "How long a turn's tasks and timers ran before the loop waited again: what the "
                "next completion has to wait for at most.",
     .type = metric_type::histogram,
     .unit = metric_unit::time,
     .merge = metric_merge::per_runtime},
    {.name = "whence_frames",
     .labels = "",
     .meaning = "Coroutine frames in use.",
     .type = metric_type::gauge},
    {.name = "whence_frames_bytes",
     .labels = "",
     .meaning = "Bytes of the coroutine frames in use.",
     .type = metric_type::gauge},
    {.name = "whence_buffers",
     .labels = "",
     .meaning = "Receive buffers in the pools.",
     .type = metric_type::gauge},
    {.name = "whence_buffers_available",
     .labels = "",
     .meaning = "Receive buffers that hold nothing.",
     .type = metric_type::gauge},
    {.name = "whence_buffers_copied_total",
     .labels = "",
     .meaning = "Receives copied out at once, because less than a quarter of a pool was free."},
    {.name = "whence_buffers_starved_total",
     .labels = "",
     .meaning = "Receives that found data but no free buffer, and queued for one."},
    {.name = "whence_log_dropped_total",
     .labels = "",
     .meaning = "Log lines lost: nobody read them fast enough, or there was no memory."},
    {.name = "whence_log_held_back_total",
     .labels = "",
     .meaning = "Log lines of events that strangers cause, held back by the limit of their rate."},
};

}  // namespace

runtime_metrics::runtime_metrics(nanoseconds started, const char* driver_name) noexcept
    : started_(started), driver_name_(driver_name), turn_completions_(completions_bounds),
      loop_lag_(lag_bounds)
{}

runtime_metrics::~runtime_metrics()
{
    metric_block* at = blocks_.load(std::memory_order_relaxed);
    while (at)
        delete std::exchange(at, at->next_);
}

void runtime_metrics::take(std::unique_ptr<metric_block> block) noexcept
{
    metric_block* const added = block.release();
    added->next_ = blocks_.load(std::memory_order_relaxed);
    while (!blocks_.compare_exchange_weak(added->next_, added, std::memory_order_release,
                                          std::memory_order_relaxed))
    {
    }
}

void runtime_metrics::sample(driver& io, u64 log_dropped, u64 log_held_back) noexcept
{
    const frame_usage usage = frames_in_use();
    frames_.set(usage.frames);
    frame_bytes_.set(usage.bytes);
    buffer_pool& pool = io.buffers();
    buffers_.set(pool.count());
    buffers_available_.set(pool.available());
    buffers_copied_.set(pool.copied_out().value());
    buffers_starved_.set(io.metrics().starved.value());
    log_dropped_.set(log_dropped);
    log_held_back_.set(log_held_back);
}

void runtime_metrics::read(metric_reader& to) const
{
    const auto number = [&to](own which, u64 value) {
        to.number(own_metrics[which], {}, static_cast<i64>(value));
    };
    to.number(own_metrics[start_time], {}, started_.count());
    to.number(own_metrics[driver_info], {{"driver", driver_name_}}, 1);
    to.histogram(own_metrics[turn_completions], {}, turn_completions_.values());
    to.histogram(own_metrics[loop_lag], {}, loop_lag_.values());
    to.number(own_metrics[frames], {}, frames_.value());
    to.number(own_metrics[frame_bytes], {}, frame_bytes_.value());
    to.number(own_metrics[buffers], {}, buffers_.value());
    to.number(own_metrics[buffers_available], {}, buffers_available_.value());
    number(buffers_copied, buffers_copied_.value());
    number(buffers_starved, buffers_starved_.value());
    number(log_dropped, log_dropped_.value());
    number(log_held_back, log_held_back_.value());
    find([&to](const metric_block& block) {
        block.read(to);
        return false;
    });
}

std::span<const metric> runtime_metrics::all() noexcept
{
    return own_metrics;
}

}  // namespace whence::inline v0

#include <whence/middleware/time_limits.hpp>

#include <whence/coro/errors.hpp>

#include <algorithm>
#include <utility>

namespace whence::inline v0::internal {

namespace {

constexpr int looks = 8;

bool is_limit(nanoseconds time_max) noexcept
{
    return time_max > nanoseconds::zero();
}

/// Tells how long to wait before the next look.
nanoseconds pause_between_looks(const time_limit_options& options) noexcept
{
    nanoseconds shorter = nanoseconds::max();
    for (const nanoseconds time_max : {options.idle_time_max, options.write_time_max}) {
        if (is_limit(time_max))
            shorter = std::min(shorter, time_max);
    }
    return shorter / looks;
}

/// Gives the moment at which a standstill since `start` has lasted too long.
time_point moment_after(time_point start, nanoseconds time_max) noexcept
{
    return is_limit(time_max) ? later(start, time_max) : time_point::max();
}

}  // namespace

stall_watch::stall_watch(connection& conn, const time_limit_options& options) noexcept
    : deadline(pause_between_looks(options)), conn_(conn), options_(options),
      received_(conn.bytes_received()), sent_(conn.bytes_sent()), moved_at_(now()),
      write_moved_at_(moved_at_)
{}

time_point stall_watch::due() noexcept
{
    const time_point at = now();
    if (!conn_.is_open())
        return time_point::max();
    look(at);
    const time_point idle = moment_after(moved_at_, options_.idle_time_max);
    const time_point stalled = moment_after(write_moved_at_, options_.write_time_max);
    const bool ends = std::min(idle, stalled) <= at;
    if (ends && !stopped() && conn_.ended_by() == end_cause::none)
        conn_.set_ended_by(stalled <= at ? end_cause::write_stalled : end_cause::idle);
    return std::min({idle, stalled, later(at, pause_between_looks(options_))});
}

/// Notes what has moved since the last look.
void stall_watch::look(time_point at) noexcept
{
    const u64 taken = conn_.is_writing() ? conn_.send_progress() : taken_;
    const bool received =
        std::exchange(received_, conn_.bytes_received()) != conn_.bytes_received();
    const bool sent = std::exchange(sent_, conn_.bytes_sent()) != conn_.bytes_sent();
    const bool moves = std::exchange(taken_, taken) != taken;
    if (received || sent || moves)
        moved_at_ = at;
    if (sent || moves || !conn_.is_writing())
        write_moved_at_ = at;
}

void stall_watch::throw_ended() const
{
    throw_error(ETIMEDOUT, conn_.ended_by() == end_cause::idle ? "idle_time" : "write_time");
}

}  // namespace whence::inline v0::internal

#include <whence/net/seat.hpp>

namespace whence::inline v0::internal {

seat::seat(runtime& home, std::span<const listener> listeners)
    : home_(home),
      arrived_(
          home.mail(), [](void* self) noexcept { static_cast<seat*>(self)->take_given(); }, this),
      told_to_end_(home.mail(), [](void* end) noexcept { static_cast<event*>(end)->set(); }, &end_)
{
    for (const listener& one : listeners)
        metrics_.push_back(&server_metrics::of(home.metrics(), one.local()));
}

void seat::give(arrival one)
{
    if (&home_ == &runtime::current()) {
        load_.fetch_add(1, std::memory_order_relaxed);
        taker_->take(std::move(one));
        return;
    }
    {
        const std::lock_guard guard{lock_};
        given_.push_back(std::move(one));
    }
    load_.fetch_add(1, std::memory_order_relaxed);
    arrived_.raise();
}

void seat::occupy(taker& by) noexcept
{
    taker_ = &by;
    take_given();
}

void seat::vacate() noexcept
{
    taker_ = nullptr;
    load_.store(nobody_serves, std::memory_order_relaxed);
}

void seat::take_given() noexcept
{
    if (!taker_)
        return;
    {
        const std::lock_guard guard{lock_};
        taking_.swap(given_);
    }
    for (arrival& one : taking_) {
        one.conn.move_to(home_.io());
        taker_->take(std::move(one));
    }
    taking_.clear();
}

server_state::server_state(std::unique_ptr<const application> serves, serve_options with,
                           std::span<runtime* const> group, std::span<const listener> listeners)
    : app(std::move(serves)), options(with), handshakes(with.handshakes_max)
{
    for (runtime* const each : group)
        seats.emplace_back(*each, listeners);
}

seat& server_state::idlest() noexcept
{
    std::size_t best = next++ % seats.size();
    for (std::size_t i = 1; i < seats.size(); ++i) {
        const std::size_t at = (next - 1 + i) % seats.size();
        if (seats[at].load() < seats[best].load())
            best = at;
    }
    return seats[best];
}

}  // namespace whence::inline v0::internal

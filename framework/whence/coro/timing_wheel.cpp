#include <whence/coro/timing_wheel.hpp>

#include <bit>

namespace whence::inline v0 {

namespace {

constexpr u64 slot_mask = 63;

}  // namespace

u64 timing_wheel::tick_of(time_point t) const noexcept
{
    if (t <= start_)
        return 0;
    // Rounded up: a timer may fire late by less than a tick, never early.
    return static_cast<u64>(std::chrono::ceil<milliseconds>(t - start_).count());
}

void timing_wheel::insert(timer& t) noexcept
{
    // The highest bit in which the due tick differs from now picks the level, so the slots in use
    // of every level lie ahead of now and within its current round.
    const u64 differs = (t.due_tick ^ now_tick_) | 1;
    unsigned level = static_cast<unsigned>(std::bit_width(differs) - 1) / bits;
    unsigned index = 0;
    if (level < levels) {
        index = (t.due_tick >> (bits * level)) & slot_mask;
    } else {
        level = levels - 1;
        index = slot_mask;
    }
    slots_[level][index].push_back(t);
    occupied_[level] |= u64{1} << index;
}

void timing_wheel::arm(timer& t, time_point due) noexcept
{
    if (t.armed())
        disarm(t);
    // A moment that has passed fires with the next tick: advance() never visits the same tick
    // twice.
    t.due_tick = std::max(tick_of(due), now_tick_ + 1);
    insert(t);
    ++size_;
}

void timing_wheel::disarm(timer& t) noexcept
{
    if (!t.armed())
        return;
    // The slot's bit may stay behind; an empty slot costs one look when its time comes.
    t.unlink();
    --size_;
}

std::optional<timing_wheel::position> timing_wheel::next_slot() const noexcept
{
    for (unsigned level = 0; level < levels; ++level) {
        if (occupied_[level] == 0)
            continue;
        const auto index = static_cast<unsigned>(std::countr_zero(occupied_[level]));
        const unsigned shift = bits * level;
        const u64 round = now_tick_ >> (shift + bits) << (shift + bits);
        return position{level, index, round | (u64{index} << shift)};
    }
    return std::nullopt;
}

void timing_wheel::advance(time_point now) noexcept
{
    // Rounded down: what is due in the middle of this tick is not due yet.
    const u64 target =
        now <= start_ ? 0
                      : static_cast<u64>(std::chrono::floor<milliseconds>(now - start_).count());
    while (size_ != 0) {
        const auto next = next_slot();
        if (!next || next->tick > target)
            break;
        occupied_[next->level] &= ~(u64{1} << next->index);
        now_tick_ = std::max(now_tick_, next->tick);
        slot batch;
        batch.splice(slots_[next->level][next->index]);
        while (!batch.empty()) {
            timer& t = batch.pop_front();
            if (t.due_tick > now_tick_) {
                insert(t);
                continue;
            }
            --size_;
            t.fire(t);
        }
    }
    now_tick_ = std::max(now_tick_, target);
    if (size_ == 0)
        occupied_.fill(0);
}

std::optional<time_point> timing_wheel::next_due() const noexcept
{
    if (size_ == 0)
        return std::nullopt;
    const auto next = next_slot();
    if (!next)
        return std::nullopt;
    return start_ + milliseconds(next->tick);
}

}  // namespace whence::inline v0

#pragma once

#include <whence/base/intrusive_list.hpp>
#include <whence/coro/time.hpp>

#include <array>
#include <optional>

namespace whence::inline v0 {

/// Waits in a timing_wheel for its moment. Lives in the object that waits; disarmed before it dies.
struct timer : list_node<timer> {
    using callback = void (*)(timer&) noexcept;

    explicit timer(callback when_due) : fire(when_due) {}

    bool armed() const noexcept { return linked(); }

    callback fire;     // called once, disarmed; may arm it again
    u64 due_tick = 0;  // milliseconds of the wheel
};

/// Keeps any number of timers; arming and disarming are O(1), an empty stretch of time is skipped
/// in one step, whatever its length.
/// units: one tick is a millisecond; a timer fires in the first advance() at or after its moment,
/// rounded up to a tick.
/// source: Varghese and Lauck, "Hashed and hierarchical timing wheels" (1987), scheme 7.
///
///   level 0   64 slots of 1 tick      those whose tick differs from now only in the low 6 bits
///   level 1   64 slots of 64 ticks    ... in the low 12 bits, and so on
///   level 6   ... in the low 42 bits; what lies further ahead (139 years) waits in its last slot
class timing_wheel {
public:
    explicit timing_wheel(time_point start) : start_(start) {}

    /// Arms or re-arms `t` to fire at `due`.
    void arm(timer& t, time_point due) noexcept;
    void disarm(timer& t) noexcept;

    /// Fires all that is due at `now`.
    void advance(time_point now) noexcept;

    /// Tells when advance() has to be called next; may be earlier than the next timer, never later.
    std::optional<time_point> next_due() const noexcept;

    std::size_t size() const noexcept { return size_; }

private:
    static constexpr unsigned bits = 6;
    static constexpr unsigned levels = 7;
    using slot = intrusive_list<timer>;

    void insert(timer& t) noexcept;
    u64 tick_of(time_point t) const noexcept;
    struct position {
        unsigned level;
        unsigned index;
        u64 tick;
    };
    std::optional<position> next_slot() const noexcept;

    time_point start_;
    u64 now_tick_ = 0;
    std::size_t size_ = 0;
    std::array<u64, levels> occupied_{};
    std::array<std::array<slot, 1u << bits>, levels> slots_{};
};

}  // namespace whence::inline v0

#pragma once

// Not a public header: what is still to happen in a simulated world.

#include <whence/coro/time.hpp>

#include <algorithm>
#include <optional>
#include <vector>

namespace whence::inline v0::sim::internal {

/// Orders what will happen by time, and by when it was put in where the time is the same.
template <class Act>
class schedule {
public:
    void at(time_point due, Act act)
    {
        waiting_.push_back({due, next_++, std::move(act)});
        std::ranges::push_heap(waiting_, is_later);
    }

    std::optional<time_point> next_due() const noexcept
    {
        if (waiting_.empty())
            return std::nullopt;
        return waiting_.front().due;
    }

    /// Takes what is due next. limits: there is something.
    Act take()
    {
        std::ranges::pop_heap(waiting_, is_later);
        Act act = std::move(waiting_.back().act);
        waiting_.pop_back();
        return act;
    }

private:
    struct item {
        time_point due;
        u64 order;
        Act act;
    };

    static bool is_later(const item& a, const item& b) noexcept
    {
        return a.due != b.due ? a.due > b.due : a.order > b.order;
    }

    std::vector<item> waiting_;
    u64 next_ = 0;
};

}  // namespace whence::inline v0::sim::internal

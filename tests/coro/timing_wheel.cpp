#include <whence/coro/timing_wheel.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

using namespace whence;

namespace {

struct probe : timer {
    probe() : timer(&fired) {}
    static void fired(timer& self) noexcept { ++static_cast<probe&>(self).times; }

    int times = 0;
    time_point due{};
};

}  // namespace

TEST_CASE("a timer fires at its moment, never before", "[coro]")
{
    const time_point start{};
    for (const i64 due_ms : {1, 2, 63, 64, 65, 4095, 4096, 100'000, 300'000'000}) {
        timing_wheel wheel{start};
        probe one;
        const time_point due = start + milliseconds(due_ms);
        wheel.arm(one, due);
        wheel.advance(due - milliseconds(1));
        CHECK(one.times == 0);
        wheel.advance(due);
        CHECK(one.times == 1);
        CHECK(wheel.size() == 0);
        wheel.advance(due + 1h);
        CHECK(one.times == 1);
    }
}

TEST_CASE("a fraction of a tick rounds up", "[coro]")
{
    timing_wheel wheel{time_point{}};
    probe one;
    wheel.arm(one, time_point{} + 1500us);
    wheel.advance(time_point{} + 1999us);
    CHECK(one.times == 0);
    wheel.advance(time_point{} + 2ms);
    CHECK(one.times == 1);
}

TEST_CASE("a moment in the past fires with the next tick", "[coro]")
{
    timing_wheel wheel{time_point{}};
    wheel.advance(time_point{} + 1h);
    probe one;
    wheel.arm(one, time_point{} + 1min);
    wheel.advance(time_point{} + 1h);
    CHECK(one.times == 0);
    wheel.advance(time_point{} + 1h + 1ms);
    CHECK(one.times == 1);
}

TEST_CASE("ten thousand random timers fire in their order, whatever the steps", "[coro]")
{
    std::mt19937_64 random{42};
    timing_wheel wheel{time_point{}};
    std::vector<std::unique_ptr<probe>> all;
    time_point at{};
    int disarmed = 0;
    for (int i = 0; i < 10'000; ++i) {
        auto& one = all.emplace_back(std::make_unique<probe>());
        one->due = at + milliseconds(1 + random() % (u64{1} << (random() % 30)));
        wheel.arm(*one, one->due);
        if (random() % 4 == 0) {
            at += milliseconds(random() % 1000);
            wheel.advance(at);
        }
        if (random() % 8 == 0) {
            auto& victim = *all[random() % all.size()];
            if (victim.armed()) {
                wheel.disarm(victim);
                victim.due = time_point::max();
                ++disarmed;
            }
        }
    }
    CHECK(disarmed > 100);
    while (const auto next = wheel.next_due()) {
        CHECK(*next > at);
        at = *next;
        wheel.advance(at);
        const bool exact = std::ranges::all_of(
            all, [&](const auto& one) { return (one->times == 1) == (one->due <= at); });
        REQUIRE(exact);
        if (at > time_point{} + 1h)
            break;
    }
    wheel.advance(at + 24h * 365);
    CHECK(wheel.size() == 0);
    CHECK(std::ranges::all_of(all, [](const auto& one) {
        return one->times == (one->due == time_point::max() ? 0 : 1);
    }));
}

TEST_CASE("next_due is no later than the next timer and leads to it in a few steps", "[coro]")
{
    timing_wheel wheel{time_point{}};
    CHECK_FALSE(wheel.next_due().has_value());
    probe far;
    const time_point due = time_point{} + 24h * 1000 + 7ms;
    wheel.arm(far, due);
    int steps = 0;
    while (far.times == 0) {
        const auto next = wheel.next_due();
        REQUIRE(next.has_value());
        CHECK(*next <= due);
        wheel.advance(*next);
        ++steps;
    }
    CHECK(steps <= 7);
}

TEST_CASE("a timer may arm itself, and disarm another that is due in the same tick", "[coro]")
{
    struct pair : timer {
        pair() : timer(&fired) {}
        static void fired(timer& self) noexcept
        {
            auto& me = static_cast<pair&>(self);
            ++me.times;
            me.wheel->disarm(*me.other);
            if (me.times < 3)
                me.wheel->arm(me, time_point{} + milliseconds(10 + me.times));
        }
        timing_wheel* wheel = nullptr;
        pair* other = nullptr;
        int times = 0;
    };
    timing_wheel wheel{time_point{}};
    pair first;
    pair second;
    first.wheel = second.wheel = &wheel;
    first.other = &second;
    second.other = &first;
    wheel.arm(first, time_point{} + 10ms);
    wheel.arm(second, time_point{} + 10ms);
    wheel.advance(time_point{} + 1s);
    CHECK(first.times == 3);
    CHECK(second.times == 0);
    CHECK(wheel.size() == 0);
}

#include <whence/coro/deadline.hpp>

#include "support/manual_loop.hpp"

#include <whence/coro/event.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace whence;
using support::run_to_end;

namespace {

task<> wait_for_ever()
{
    event never;
    co_await never.wait();
}

task<int> answer_after(nanoseconds time)
{
    co_await sleep_for(time);
    co_return 42;
}

}  // namespace

TEST_CASE("a sleep lasts as long as it is asked to", "[coro]")
{
    run_to_end([]() -> task<> {
        const time_point start = now();
        co_await sleep_for(250ms);
        CHECK(now() - start >= 250ms);
        CHECK(now() - start <= 251ms);
        co_await sleep_for(0ms);
        CHECK(now() - start <= 253ms);
    });
}

TEST_CASE("a deadline stops what waits too long, and says that it did", "[coro]")
{
    run_to_end([]() -> task<> {
        const time_point start = now();
        deadline limit{100ms};
        CHECK_FALSE(limit.expired());
        auto waiting = as_result(sleep_for(1h));
        const std::error_code error = co_await waiting;
        CHECK(error == std::errc::operation_canceled);
        CHECK(limit.expired());
        CHECK(now() - start <= 102ms);
    });
}

TEST_CASE("whatever starts under an expired deadline ends at once", "[coro]")
{
    run_to_end([]() -> task<> {
        {
            deadline limit{1ms};
            auto first = as_result(sleep_for(1h));
            co_await first;
            for (int i = 0; i < 3; ++i) {
                auto more = as_result(sleep_for(1h));
                const std::error_code error = co_await more;
                CHECK(error == std::errc::operation_canceled);
            }
        }
        // Behind it the strand waits as before.
        const time_point start = now();
        co_await sleep_for(5ms);
        CHECK(now() - start >= 5ms);
    });
}

TEST_CASE("with_deadline gives the value, or timed_out", "[coro]")
{
    run_to_end([]() -> task<> {
        const int answer = co_await with_deadline(1s, answer_after(10ms));
        CHECK(answer == 42);
        bool timed_out = false;
        try {
            co_await with_deadline(10ms, wait_for_ever());
        } catch (const std::system_error& error) {
            timed_out = error.code() == std::errc::timed_out;
        }
        CHECK(timed_out);
    });
}

TEST_CASE("the first deadline to expire names the outcome where it was set", "[coro]")
{
    run_to_end([]() -> task<> {
        bool inner_timed_out = false;
        bool outer_timed_out = false;
        try {
            co_await with_deadline(10ms, [](bool& inner) -> task<> {
                try {
                    co_await with_deadline(1h, wait_for_ever());
                } catch (const std::system_error&) {
                    inner = true;
                }
            }(inner_timed_out));
        } catch (const std::system_error& error) {
            outer_timed_out = error.code() == std::errc::timed_out;
        }
        CHECK_FALSE(inner_timed_out);
        CHECK(outer_timed_out);
    });
}

TEST_CASE("a stop from outside is a cancellation, not a time-out", "[coro]")
{
    run_to_end([]() -> task<> {
        bool saw_cancelled = false;
        scope children;
        children.spawn([](bool& saw) -> task<> {
            try {
                co_await with_deadline(1h, wait_for_ever());
            } catch (const cancelled&) {
                saw = true;
            }
        }(saw_cancelled));
        co_await sleep_for(1ms);
        children.stop();
        co_await children.join();
        CHECK(saw_cancelled);
    });
}

TEST_CASE("a refreshed deadline expires when nothing happened for its time", "[coro]")
{
    run_to_end([]() -> task<> {
        const time_point start = now();
        deadline idle{100ms};
        for (int i = 0; i < 10; ++i) {
            co_await sleep_for(60ms);
            idle.refresh();
        }
        CHECK_FALSE(idle.expired());
        auto waiting = as_result(sleep_for(1h));
        co_await waiting;
        CHECK(idle.expired());
        CHECK(now() - start >= 700ms);
        CHECK(now() - start <= 705ms);
    });
}

TEST_CASE("a shield lets a stopped strand clean up, for a bounded time", "[coro]")
{
    run_to_end([]() -> task<> {
        int steps = 0;
        scope children;
        children.spawn([](int& done) -> task<> {
            try {
                co_await wait_for_ever();
            } catch (const cancelled&) {
            }
            {
                shield protect{50ms};
                co_await sleep_for(20ms);
                ++done;
                auto too_long = as_result(sleep_for(1h));
                const std::error_code error = co_await too_long;
                done += error == std::errc::operation_canceled && protect.expired();
            }
            auto after = as_result(sleep_for(1h));
            const std::error_code error = co_await after;
            done += error == std::errc::operation_canceled;
        }(steps));
        co_await sleep_for(1ms);
        children.stop();
        co_await children.join();
        CHECK(steps == 3);
    });
}

TEST_CASE("a sleep without end does not end", "[coro]")
{
    run_to_end([]() -> task<> {
        co_await sleep_for(1ms);  // so that the sum is more than a time_point holds
        auto nap = []() -> task<> { co_await sleep_for(nanoseconds::max()); };
        bool timed_out = false;
        try {
            auto bounded = with_deadline(1h, nap());
            co_await bounded;
        } catch (const std::system_error& error) {
            timed_out = error.code() == std::errc::timed_out;
        }
        CHECK(timed_out);
    });
}

TEST_CASE("a deadline without end is possible", "[coro]")
{
    run_to_end([]() -> task<> {
        deadline never{nanoseconds::max()};
        co_await sleep_for(24h);
        CHECK_FALSE(never.expired());
    });
}

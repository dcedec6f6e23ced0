#include <whence/coro/wait_queue.hpp>

#include "support/manual_loop.hpp"

#include <whence/coro/channel.hpp>
#include <whence/coro/deadline.hpp>
#include <whence/coro/event.hpp>
#include <whence/coro/semaphore.hpp>
#include <whence/coro/yield.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <vector>

using namespace whence;
using support::run_to_end;

TEST_CASE("an event wakes all that wait, and lets through once set", "[coro]")
{
    run_to_end([]() -> task<> {
        event happened;
        int woken = 0;
        scope children;
        for (int i = 0; i < 3; ++i) {
            children.spawn([](event& awaited, int& count) -> task<> {
                co_await awaited.wait();
                ++count;
            }(happened, woken));
        }
        co_await sleep_for(1ms);
        CHECK(woken == 0);
        happened.set();
        CHECK(woken == 0);  // never inside set()
        co_await children.join();
        CHECK(woken == 3);
        co_await happened.wait();
        happened.reset();
        CHECK_FALSE(happened.is_set());
    });
}

TEST_CASE("whether an event is set counts when it is awaited, not when the wait is made", "[coro]")
{
    run_to_end([]() -> task<> {
        event happened;
        auto late = as_result(happened.wait());
        happened.set();
        const std::error_code error = co_await late;
        CHECK_FALSE(error);

        auto early = as_result(happened.wait());
        happened.reset();
        deadline limit{1ms};
        const std::error_code ended = co_await early;
        CHECK(ended == std::errc::operation_canceled);
    });
}

TEST_CASE("a stopped strand gets no more events or permits, though they are there", "[coro]")
{
    run_to_end([]() -> task<> {
        event happened;
        happened.set();
        semaphore slots{1};
        int refused = 0;
        scope children;
        children.stop();
        children.spawn([](event& awaited, semaphore& from, int& count) -> task<> {
            auto waiting = as_result(awaited.wait());
            const std::error_code error = co_await waiting;
            count += error == std::errc::operation_canceled;
            auto acquiring = as_result(from.acquire());
            const auto permit = co_await acquiring;
            count += !permit.has_value();
        }(happened, slots, refused));
        co_await children.join();
        CHECK(refused == 2);
        CHECK(slots.available() == 1);
    });
}

TEST_CASE("one that was woken and stopped in the same turn counts as woken", "[coro]")
{
    run_to_end([]() -> task<> {
        wait_queue queue;
        bool woken = false;
        bool stopped_after = false;
        scope children;
        children.spawn([](wait_queue& from, bool& saw, bool& then) -> task<> {
            co_await from.wait();
            saw = true;
            auto next = as_result(from.wait());
            const std::error_code error = co_await next;
            then = error == std::errc::operation_canceled;
        }(queue, woken, stopped_after));
        co_await sleep_for(1ms);
        queue.wake_one();
        children.stop();
        co_await children.join();
        CHECK(woken);
        CHECK(stopped_after);
        CHECK(queue.empty());
    });
}

TEST_CASE("a semaphore never gives more permits than it has", "[coro]")
{
    run_to_end([]() -> task<> {
        semaphore slots{2};
        int inside = 0;
        int inside_max = 0;
        scope children;
        for (int i = 0; i < 10; ++i) {
            children.spawn([](semaphore& from, int& now_inside, int& most) -> task<> {
                auto permit = co_await from.acquire();
                most = std::max(most, ++now_inside);
                co_await sleep_for(1ms);
                --now_inside;
            }(slots, inside, inside_max));
        }
        co_await children.join();
        CHECK(inside_max == 2);
        CHECK(slots.available() == 2);
    });
}

TEST_CASE("a permit, and the lack of one, can be had as a result", "[coro]")
{
    run_to_end([]() -> task<> {
        semaphore slots{1};
        {
            auto first = as_result(slots.acquire());
            const auto permit = co_await first;
            CHECK(permit.has_value());
            CHECK(slots.available() == 0);

            deadline limit{1ms};
            auto second = as_result(slots.acquire());
            const auto refused = co_await second;
            CHECK(refused.error() == std::errc::operation_canceled);
            auto turn = as_result(yield{});
            const std::error_code stopped = co_await turn;
            CHECK(stopped == std::errc::operation_canceled);
        }
        CHECK(slots.available() == 1);
    });
}

TEST_CASE("a permit that was given to a strand as it was stopped is not lost", "[coro]")
{
    run_to_end([]() -> task<> {
        semaphore slots{1};
        scope children;
        {
            auto permit = co_await slots.acquire();
            children.spawn([](semaphore& from) -> task<> {
                auto mine = co_await from.acquire();
                co_await sleep_for(1h);
            }(slots));
            co_await sleep_for(1ms);
        }
        children.stop();
        co_await children.join();
        CHECK(slots.available() == 1);
    });
}

TEST_CASE("a channel passes values in order and holds the sender back", "[coro]")
{
    run_to_end([]() -> task<> {
        channel<int> values{2};
        std::vector<int> received;
        std::size_t most = 0;
        scope children;
        children.spawn([](channel<int>& to, std::size_t& waiting_max) -> task<> {
            for (int i = 0; i < 20; ++i) {
                const bool sent = co_await to.send(i);
                CHECK(sent);
                waiting_max = std::max(waiting_max, to.size());
            }
            to.close();
            const bool late = co_await to.send(99);
            CHECK_FALSE(late);
        }(values, most));
        for (;;) {
            const std::optional<int> value = co_await values.receive();
            if (!value)
                break;
            received.push_back(*value);
            co_await sleep_for(1ms);
        }
        co_await children.join();
        CHECK(received.size() == 20);
        CHECK(std::is_sorted(received.begin(), received.end()));
        CHECK(most <= 2);
    });
}

TEST_CASE("a cancelled receive takes no value", "[coro]")
{
    run_to_end([]() -> task<> {
        channel<int> values{1};
        scope children;
        children.spawn([](channel<int>& from) -> task<> { co_await from.receive(); }(values));
        co_await sleep_for(1ms);
        children.stop();
        co_await children.join();
        co_await values.send(5);
        const std::optional<int> value = co_await values.receive();
        CHECK(value == 5);
    });
}

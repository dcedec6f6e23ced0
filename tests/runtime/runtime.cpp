#include <whence/runtime/runtime.hpp>

#include "support/run_here.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/runtime/offload.hpp>

#include <catch2/catch_test_macros.hpp>

#include <poll.h>

#include <atomic>
#include <stdexcept>

using namespace whence;
using support::leak_check;
using support::run_here;

TEST_CASE("a runtime runs its main task to the end", "[runtime]")
{
    bool ran = false;
    run_here([&ran]() -> task<> {
        co_await sleep_for(1ms);
        ran = true;
    });
    CHECK(ran);
}

TEST_CASE("a runtime rethrows what its main task threw, after the others have ended", "[runtime]")
{
    bool other_ended = false;
    auto body = [&other_ended]() -> task<> {
        runtime::current().root().spawn([](bool& ended) -> task<> {
            co_await sleep_for(5ms);
            ended = true;
        }(other_ended));
        co_await sleep_for(1ms);
        throw std::runtime_error("main failed");
    };
    CHECK_THROWS_AS(run_here(body), std::runtime_error);
    CHECK(other_ended);
}

TEST_CASE("what fails in the root is the run's failure", "[runtime]")
{
    auto body = []() -> task<> {
        runtime::current().root().spawn([]() -> task<> {
            co_await sleep_for(1ms);
            throw std::runtime_error("left alone");
        }());
        co_await sleep_for(1h);
    };
    CHECK_THROWS_AS(run_here(body), std::runtime_error);
}

TEST_CASE("time passes as on the wall", "[runtime]")
{
    run_here([]() -> task<> {
        const time_point start = now();
        co_await sleep_for(30ms);
        const nanoseconds slept = now() - start;
        CHECK(slept >= 30ms);
        CHECK(slept < 5s);
    });
}

TEST_CASE("the clock is read at most once per turn", "[runtime]")
{
    run_here([]() -> task<> {
        const time_point first = now();
        volatile unsigned spin = 0;
        for (unsigned i = 0; i < 1'000'000; ++i)
            spin = spin + i;
        CHECK(now() == first);
        co_await sleep_for(1ms);
        CHECK(now() > first);
    });
}

TEST_CASE("another thread wakes a runtime that waits", "[runtime]")
{
    // The main task polls a flag only when a turn comes; without the wake-ups none would come for
    // an hour, and the watchdog would end the test.
    run_here([]() -> task<> {
        std::atomic<bool> stop = false;
        driver& io = runtime::current().io();
        std::thread waker{[&] {
            while (!stop)
                io.wake();
        }};
        const time_point start = now();
        int turns = 0;
        while (turns < 50) {
            co_await sleep_for(0ms);
            ++turns;
        }
        stop = true;
        waker.join();
        CHECK(now() - start < 30s);
    });
}

TEST_CASE("a runtime inside a runtime leaves the outer one as it was", "[runtime]")
{
    run_here([]() -> task<> {
        runtime& outer = runtime::current();
        co_await sleep_for(1ms);
        int inner_runs = 0;
        {
            runtime inner{support::open_test_driver()};
            inner.run([](int& runs) -> task<> {
                co_await sleep_for(1ms);
                ++runs;
            }(inner_runs));
        }
        CHECK(inner_runs == 1);
        CHECK(&runtime::current() == &outer);
        co_await sleep_for(1ms);
    });
}

TEST_CASE("the task dump names the file and line of every wait", "[runtime]")
{
    run_here([]() -> task<> {
        scope children;
        children.spawn([]() -> task<> { co_await sleep_for(1h); }());
        co_await sleep_for(1ms);
        const std::string dump = runtime::current().dump_tasks();
        CHECK(dump.find("tests/runtime/runtime.cpp:") != dump.npos);
        children.stop();
        co_await children.join();
    });
}

TEST_CASE("a foreign loop turns a runtime by its descriptor and its next timer", "[runtime]")
{
    const leak_check leaks;
    {
        runtime here;
        pollfd attention{.fd = here.io().attention_fd(), .events = POLLIN, .revents = 0};
        int sum = 0;
        here.start([](int& total) -> task<> {
            co_await sleep_for(5ms);
            for (int i = 1; i <= 20; ++i) {
                auto work = [i] { return i; };
                total += co_await offload(work);
            }
        }(sum));
        int turns = 0;
        while (!here.ended() && turns < 1000) {
            ++turns;
            const nanoseconds idle = here.step();
            if (idle == nanoseconds::zero())
                continue;
            const nanoseconds bound = std::min<nanoseconds>(idle, 10s);
            const auto whole = std::chrono::ceil<milliseconds>(bound);
            const int ready = poll(&attention, 1, static_cast<int>(whole.count()));
            REQUIRE((ready == 1 || bound == idle));
        }
        here.finish();
        CHECK(sum == 210);
        CHECK(turns < 500);
    }
    leaks.nothing_left();
}

TEST_CASE("a step knows the time, and asks for another one after what it delivered", "[runtime]")
{
    runtime here;
    pollfd attention{.fd = here.io().attention_fd(), .events = POLLIN, .revents = 0};
    const auto step_until_idle = [&here] {
        nanoseconds idle = nanoseconds::zero();
        while (idle == nanoseconds::zero())
            idle = here.step();
        return idle;
    };
    here.start([]() -> task<> {
        co_await sleep_for(5ms);
        co_await runtime::current().drain().wait();
    }());
    // The sleep is over when the next step begins: it must see that.
    const auto whole = std::chrono::ceil<milliseconds>(step_until_idle());
    poll(nullptr, 0, static_cast<int>(whole.count()));
    CHECK(here.step() == nanoseconds::zero());
    // A wake-up is a completion, behind which there may be mail.
    CHECK(step_until_idle() > 1min);
    here.io().wake();
    CHECK(poll(&attention, 1, 10'000) == 1);
    CHECK(here.step() == nanoseconds::zero());
    here.ask_to_drain();
    while (!here.ended())
        here.step();
    here.finish();
}

#include <whence/runtime/offload.hpp>

#include "support/run_here.hpp"

#include <whence/runtime/invoke_on.hpp>

#include <catch2/catch_test_macros.hpp>

#include <pthread.h>
#include <sched.h>

#include <latch>
#include <stdexcept>

using namespace whence;
using support::run_here;
using support::run_in_group;

TEST_CASE("a call is made in another thread and its value comes back", "[runtime]")
{
    run_here([]() -> task<> {
        const auto here = std::this_thread::get_id();
        auto calling = offload([] { return std::this_thread::get_id(); });
        const auto there = co_await calling;
        CHECK(here != there);
        auto nothing = offload([] {});
        co_await nothing;
    });
}

TEST_CASE("the runtime goes on while a call blocks", "[runtime]")
{
    run_here([]() -> task<> {
        std::latch open{1};
        scope calls;
        calls.spawn(offload([&open] { open.wait(); }));
        for (int i = 0; i < 5; ++i)
            co_await sleep_for(1ms);
        CHECK(calls.size() == 1);
        open.count_down();
        co_await calls.join();
    });
}

TEST_CASE("what a call throws is rethrown", "[runtime]")
{
    run_here([]() -> task<> {
        auto calling = offload([]() -> int { throw std::runtime_error("no such hash"); });
        std::string what;
        try {
            co_await calling;
        } catch (const std::runtime_error& error) {
            what = error.what();
        }
        CHECK(what == "no such hash");
    });
}

TEST_CASE("a stop takes back what has not begun and waits for what has", "[runtime]")
{
    run_here([]() -> task<> {
        std::latch open{1};
        std::latch begun{2};
        std::atomic<int> ran{0};
        scope calls;
        for (int i = 0; i < 5; ++i) {
            calls.spawn(offload([&] {
                begun.count_down();
                open.wait();
                ++ran;
            }));
        }
        while (!begun.try_wait())
            co_await sleep_for(1ms);
        calls.stop();
        while (calls.size() > 2)
            co_await sleep_for(1ms);
        CHECK(calls.size() == 2);  // the pool's two threads are in theirs
        open.count_down();
        co_await calls.join();
        CHECK(ran == 2);
    });
}

TEST_CASE("all runtimes of a group share the pool", "[runtime]")
{
    run_in_group(2, []() -> task<> {
        std::mutex lock;
        std::vector<std::thread::id> threads;
        const auto note = [&] {
            const std::lock_guard guard{lock};
            if (std::ranges::find(threads, std::this_thread::get_id()) == threads.end())
                threads.push_back(std::this_thread::get_id());
        };
        for (runtime* const there : runtime::current().group()) {
            auto asking = invoke_on(*there, [&note]() -> task<> {
                scope calls;
                for (int i = 0; i < 50; ++i)
                    calls.spawn(offload([&note] { note(); }));
                co_await calls.join();
            });
            co_await asking;
        }
        CHECK(threads.size() <= 2);
    });
}

TEST_CASE("a pinned runtime's calls run on any CPU", "[runtime]")
{
    cpu_set_t before;
    REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
    int cpus = 0;
    runtime_group group{{.pin = true}};
    group.run([](int& seen) -> task<> {
        auto calling = offload([] {
            cpu_set_t set;
            return pthread_getaffinity_np(pthread_self(), sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                                                 : 0;
        });
        const int count = co_await calling;
        seen = count;
    }(cpus));
    CHECK(cpus == CPU_COUNT(&before));
}

TEST_CASE("a group without a thread for calls is refused", "[runtime]")
{
    CHECK_THROWS_AS(runtime_group({.offload_threads = 0}), std::invalid_argument);
}

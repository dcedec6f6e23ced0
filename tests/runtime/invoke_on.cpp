#include <whence/runtime/invoke_on.hpp>

#include "support/run_here.hpp"

#include <whence/coro/when_all.hpp>

#include <catch2/catch_test_macros.hpp>

#include <stdexcept>
#include <thread>

using namespace whence;
using support::run_in_group;

TEST_CASE("work runs in the runtime that it is given to", "[runtime]")
{
    run_in_group(3, []() -> task<> {
        const auto group = runtime::current().group();
        REQUIRE(group.size() == 3);
        std::vector<std::thread::id> threads;
        for (runtime* const there : group) {
            auto asking = invoke_on(*there, []() -> task<std::pair<std::size_t, std::thread::id>> {
                co_await sleep_for(1ms);
                co_return std::pair{runtime::current().index(), std::this_thread::get_id()};
            });
            const auto [index, thread] = co_await asking;
            CHECK(group[index] == there);
            CHECK(std::ranges::find(threads, thread) == threads.end());
            threads.push_back(thread);
        }
        CHECK(threads[0] == std::this_thread::get_id());
    });
}

TEST_CASE("what the work throws comes home", "[runtime]")
{
    run_in_group(2, []() -> task<> {
        runtime& there = *runtime::current().group()[1];
        auto failing = invoke_on(there, []() -> task<int> {
            co_await sleep_for(1ms);
            throw std::runtime_error("far away");
        });
        std::string what;
        try {
            co_await failing;
        } catch (const std::runtime_error& error) {
            what = error.what();
        }
        CHECK(what == "far away");
    });
}

TEST_CASE("a stop reaches the work, and is waited for", "[runtime]")
{
    run_in_group(2, []() -> task<> {
        runtime& there = *runtime::current().group()[1];
        std::atomic<int> cleaned_up{0};
        std::atomic<bool> was_stopped{false};
        for (const nanoseconds after : {0ns, nanoseconds{1ms}}) {
            scope calls;
            calls.spawn(invoke_on(there, [&]() -> task<> {
                auto sleeping = as_result(sleep_for(1h));
                const std::error_code stopped = co_await sleeping;
                was_stopped = stopped == std::errc::operation_canceled;
                shield cleaning{1s};
                co_await sleep_for(2ms);
                ++cleaned_up;
            }));
            if (after > 0ns)
                co_await sleep_for(after);
            else
                co_await sleep_for(0ns);  // on its way, perhaps not begun
            calls.stop();
            co_await calls.join();
            CHECK(was_stopped.exchange(false));
        }
        CHECK(cleaned_up == 2);
    });
}

TEST_CASE("in a stopped scope nothing is sent", "[runtime]")
{
    run_in_group(2, []() -> task<> {
        runtime& there = *runtime::current().group()[1];
        bool ran = false;
        scope calls;
        calls.stop();
        calls.spawn(invoke_on(there, [&]() -> task<> {
            ran = true;
            co_return;
        }));
        co_await calls.join();
        CHECK_FALSE(ran);
    });
}

TEST_CASE("runtimes that call each other do not lock up, nor when they end meanwhile", "[runtime]")
{
    std::atomic<int> answered{0};
    run_in_group(3, [&answered]() -> task<> {
        const auto group = runtime::current().group();
        constexpr int rounds = 300;
        for (runtime* const from : group) {
            for (runtime* const to : group) {
                // Left in the root: main does not wait for them, the group does.
                runtime::current().root().spawn(invoke_on(*from, [to, &answered]() -> task<> {
                    for (int i = 0; i < rounds; ++i) {
                        auto asking =
                            invoke_on(*to, [&answered]() -> task<int> { co_return ++answered; });
                        co_await asking;
                    }
                }));
            }
        }
        co_return;
    });
    CHECK(answered == 3 * 3 * 300);
}

TEST_CASE("cancellations race with completions, and every call comes home", "[runtime]")
{
    run_in_group(2, []() -> task<> {
        runtime& there = *runtime::current().group()[1];
        std::atomic<int> running{0};
        for (int round = 0; round < 2'000; ++round) {
            scope calls;
            for (int i = 0; i < 3; ++i) {
                calls.spawn(invoke_on(there, [&running, i]() -> task<> {
                    ++running;
                    auto sleeping = as_result(sleep_for(i == 0 ? nanoseconds{1h} : 0ns));
                    if (i != 1) {
                        const std::error_code ended = co_await sleeping;
                        static_cast<void>(ended);
                    }
                    --running;
                }));
            }
            if (round % 3 != 0)
                co_await sleep_for(0ns);
            calls.stop();
            co_await calls.join();
            if (running != 0)
                FAIL("a call came home before its work had ended");
        }
    });
}

TEST_CASE("a stop that meets the end of work in the caller's own runtime is not lost", "[runtime]")
{
    support::run_here([]() -> task<> {
        for (int round = 0; round < 200; ++round) {
            scope calls;
            calls.spawn(invoke_on(runtime::current(), []() -> task<> {
                auto sleeping = as_result(sleep_for(1h));
                const std::error_code stopped = co_await sleeping;
                static_cast<void>(stopped);
            }));
            for (int i = 0; i < round % 4; ++i)
                co_await sleep_for(0ns);
            calls.stop();
            co_await calls.join();
        }
    });
}

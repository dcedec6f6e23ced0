#include <whence/coro/task.hpp>

#include "support/aborts.hpp"
#include "support/manual_loop.hpp"

#include <whence/coro/deadline.hpp>

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <stdexcept>
#include <string>

using namespace whence;
using support::abort_message_of;
using support::run_to_end;

namespace {

task<int> at_once(int value)
{
    co_return value;
}

task<int> after_waiting(int value)
{
    co_await sleep_for(1ms);
    co_return value;
}

task<> throws_at_once()
{
    throw std::runtime_error("at once");
    co_return;
}

task<> throws_after_waiting()
{
    co_await sleep_for(1ms);
    throw std::runtime_error("after waiting");
}

// The names and the shape are those of GCC PR106188: a condition that awaits, in a coroutine
// without any local variable.
task<bool> yes()
{
    co_return true;
}

}  // namespace

TEST_CASE("a task gives its value, at once or after a wait", "[coro]")
{
    run_to_end([]() -> task<> {
        CHECK(co_await at_once(7) == 7);
        CHECK(co_await after_waiting(8) == 8);
    });
}

TEST_CASE("a task carries a value that can only be moved", "[coro]")
{
    run_to_end([]() -> task<> {
        auto make = []() -> task<std::unique_ptr<std::string>> {
            co_await sleep_for(1ms);
            co_return std::make_unique<std::string>("moved");
        };
        auto made = co_await make();
        CHECK(*made == "moved");
    });
}

TEST_CASE("an exception reaches the one that awaits, at once or after a wait", "[coro]")
{
    run_to_end([]() -> task<> {
        int caught = 0;
        try {
            co_await throws_at_once();
        } catch (const std::runtime_error& error) {
            caught += std::string{error.what()} == "at once";
        }
        try {
            co_await throws_after_waiting();
        } catch (const std::runtime_error& error) {
            caught += std::string{error.what()} == "after waiting";
        }
        CHECK(caught == 2);
        CHECK(whence::internal::ctx.error == nullptr);
    });
}

TEST_CASE("a task that was awaited or moved away is not awaited", "[coro]")
{
    for (const bool moved : {false, true}) {
        CAPTURE(moved);
        const std::string said = abort_message_of([moved] {
            run_to_end([moved]() -> task<> {
                auto nothing = []() -> task<> { co_return; };
                task<> first = nothing();
                task<> second = moved ? std::move(first) : nothing();
                if (!moved)
                    co_await first;
                co_await first;
            });
        });
        CHECK(said.find("a task is awaited once") != said.npos);
    }
}

TEST_CASE("an exception passes through many levels", "[coro]")
{
    struct deep {
        static task<> call(int depth)
        {
            if (depth == 0)
                co_await throws_after_waiting();
            else
                co_await call(depth - 1);
        }
    };
    CHECK_THROWS_AS(run_to_end([]() -> task<> { co_await deep::call(100); }), std::runtime_error);
}

TEST_CASE("ten million children that end at once cost no stack", "[coro]")
{
    run_to_end([]() -> task<> {
        long sum = 0;
        for (int i = 0; i < 10'000'000; ++i)
            sum += co_await at_once(1);
        CHECK(sum == 10'000'000);
    });
}

TEST_CASE("a hundred thousand children that wait cost no stack", "[coro]")
{
    run_to_end([]() -> task<> {
        int sum = 0;
        for (int i = 0; i < 100'000; ++i)
            sum += co_await after_waiting(1);
        CHECK(sum == 100'000);
    });
}

TEST_CASE("a task that is never awaited never runs, and frees its frame", "[coro]")
{
    const auto before = frames_in_use();
    bool ran = false;
    {
        auto body = [](bool& flag) -> task<> {
            flag = true;
            co_return;
        };
        auto never = body(ran);
    }
    CHECK_FALSE(ran);
    CHECK(frames_in_use().frames == before.frames);
    CHECK(frames_in_use().bytes == before.bytes);
}

TEST_CASE("frames are all given back when the strands have ended", "[coro]")
{
    const auto before = frames_in_use();
    run_to_end([]() -> task<> {
        for (int i = 0; i < 1000; ++i)
            co_await after_waiting(i);
    });
    CHECK(frames_in_use().frames == before.frames);
    CHECK(frames_in_use().bytes == before.bytes);
}

TEST_CASE("a named value of an awaited task decides a branch", "[coro]")
{
    run_to_end([]() -> task<> {
        int branches = 0;
        const bool first = co_await yes();
        if (first)
            ++branches;
        auto second = yes();
        if (const bool answer = co_await second; answer)
            ++branches;
        CHECK(branches == 2);
    });
}

TEST_CASE("as_result gives a task's value, its error code, or its other exception", "[coro]")
{
    run_to_end([]() -> task<> {
        auto seven = as_result(after_waiting(7));
        const result<int> value = co_await seven;
        REQUIRE(value.has_value());
        CHECK(*value == 7);

        auto late = as_result(with_deadline(1ms, []() -> task<int> {
            co_await sleep_for(1h);
            co_return 1;
        }()));
        const result<int> timed_out = co_await late;
        REQUIRE_FALSE(timed_out.has_value());
        CHECK(timed_out.error() == std::errc::timed_out);

        auto nothing = as_result([]() -> task<> { co_return; }());
        const std::error_code none = co_await nothing;
        CHECK_FALSE(none);

        bool rethrown = false;
        try {
            auto other = as_result(throws_at_once());
            co_await other;
        } catch (const std::runtime_error&) {
            rethrown = true;
        }
        CHECK(rethrown);
        CHECK(whence::internal::ctx.error == nullptr);
    });
}

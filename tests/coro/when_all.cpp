#include <whence/coro/when_all.hpp>

#include "support/manual_loop.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/coro/race.hpp>

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <stdexcept>
#include <string>

using namespace whence;
using support::run_to_end;

namespace {

template <class T>
task<T> give_after(nanoseconds time, T value)
{
    co_await sleep_for(time);
    co_return value;
}

task<> fail_after(nanoseconds time)
{
    co_await sleep_for(time);
    throw std::runtime_error("failed");
}

task<> note_cancel(bool& noted)
{
    try {
        co_await sleep_for(1h);
    } catch (const cancelled&) {
        noted = true;
        throw;
    }
}

}  // namespace

TEST_CASE("when_all runs side by side and gives all values in order", "[coro]")
{
    run_to_end([]() -> task<> {
        const time_point start = now();
        auto [number, text, nothing] =
            co_await when_all(give_after(30ms, 1), give_after<std::string>(20ms, "two"),
                              [](nanoseconds t) -> task<> { co_await sleep_for(t); }(10ms));
        CHECK(number == 1);
        CHECK(text == "two");
        CHECK(nothing == std::monostate{});
        CHECK(now() - start <= 32ms);
    });
}

TEST_CASE("when_all stops the others when one fails", "[coro]")
{
    run_to_end([]() -> task<> {
        bool stopped = false;
        bool caught = false;
        try {
            co_await when_all(note_cancel(stopped), fail_after(1ms));
        } catch (const std::runtime_error&) {
            caught = true;
        }
        CHECK(caught);
        CHECK(stopped);
    });
}

TEST_CASE("when_all is cancelled with its strand", "[coro]")
{
    run_to_end([]() -> task<> {
        bool stopped = false;
        deadline limit{1ms};
        bool caught = false;
        try {
            co_await when_all(note_cancel(stopped), give_after(1h, 1));
        } catch (const cancelled&) {
            caught = true;
        }
        CHECK(caught);
        CHECK(stopped);
    });
}

TEST_CASE("race gives the first and stops the rest", "[coro]")
{
    run_to_end([]() -> task<> {
        bool stopped = false;
        const auto winner = co_await race(note_cancel(stopped), give_after(5ms, 7),
                                          give_after<std::string>(6ms, "late"));
        CHECK(winner.index() == 1);
        CHECK(std::get<1>(winner) == 7);
        CHECK(stopped);
    });
}

TEST_CASE("race rethrows when the first to end failed", "[coro]")
{
    run_to_end([]() -> task<> {
        bool stopped = false;
        bool caught = false;
        try {
            co_await race(fail_after(1ms), note_cancel(stopped));
        } catch (const std::runtime_error&) {
            caught = true;
        }
        CHECK(caught);
        CHECK(stopped);
    });
}

TEST_CASE("race drops a value that is reached after another has failed", "[coro]")
{
    run_to_end([]() -> task<> {
        auto stubborn = []() -> task<int> {
            try {
                co_await sleep_for(1h);
            } catch (const cancelled&) {
            }
            co_return 7;
        };
        std::string failure;
        try {
            auto racing = race(fail_after(1ms), stubborn());
            co_await racing;
        } catch (const std::runtime_error& error) {
            failure = error.what();
        }
        CHECK(failure == "failed");
    });
}

TEST_CASE("race carries a value that can only be moved", "[coro]")
{
    run_to_end([]() -> task<> {
        auto winner = co_await race(give_after(1ms, std::make_unique<int>(3)), give_after(1h, 1));
        REQUIRE(winner.index() == 0);
        CHECK(*std::get<0>(winner) == 3);
    });
}

TEST_CASE("race is cancelled with its strand", "[coro]")
{
    run_to_end([]() -> task<> {
        deadline limit{1ms};
        bool caught = false;
        try {
            co_await race(give_after(1h, 1), give_after(1h, 2));
        } catch (const cancelled&) {
            caught = true;
        }
        CHECK(caught);
        CHECK(limit.expired());
    });
}

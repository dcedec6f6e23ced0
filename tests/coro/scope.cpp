#include <whence/coro/scope.hpp>

#include "support/manual_loop.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/coro/event.hpp>

#include <catch2/catch_test_macros.hpp>

#include <stdexcept>
#include <string>
#include <vector>

using namespace whence;
using support::run_to_end;

namespace {

task<> note_after(nanoseconds time, int value, std::vector<int>& notes)
{
    co_await sleep_for(time);
    notes.push_back(value);
}

task<> wait_for_ever(int& cancellations)
{
    event never;
    try {
        co_await never.wait();
    } catch (const cancelled&) {
        ++cancellations;
        throw;
    }
}

task<> fail_after(nanoseconds time)
{
    co_await sleep_for(time);
    throw std::runtime_error("failed");
}

}  // namespace

TEST_CASE("a scope joins all its children", "[coro]")
{
    run_to_end([]() -> task<> {
        std::vector<int> notes;
        scope children;
        children.spawn(note_after(3ms, 3, notes));
        children.spawn(note_after(1ms, 1, notes));
        children.spawn(note_after(2ms, 2, notes));
        CHECK(notes.empty());
        co_await children.join();
        CHECK(notes == std::vector{1, 2, 3});
        CHECK(children.size() == 0);
    });
}

TEST_CASE("stopping a scope cancels what its children wait for", "[coro]")
{
    run_to_end([]() -> task<> {
        int cancellations = 0;
        scope children;
        children.spawn(wait_for_ever(cancellations));
        children.spawn(wait_for_ever(cancellations));
        co_await sleep_for(1ms);
        children.stop();
        co_await children.join();
        CHECK(cancellations == 2);
    });
}

TEST_CASE("a child that fails stops its siblings, and join rethrows", "[coro]")
{
    run_to_end([]() -> task<> {
        int cancellations = 0;
        bool caught = false;
        scope children;
        children.spawn(wait_for_ever(cancellations));
        children.spawn(fail_after(1ms));
        try {
            co_await children.join();
        } catch (const std::runtime_error&) {
            caught = true;
        }
        CHECK(caught);
        CHECK(cancellations == 1);
        CHECK(children.stopped());
    });
}

TEST_CASE("a child spawned into a stopped scope is cancelled at its first wait", "[coro]")
{
    run_to_end([]() -> task<> {
        int cancellations = 0;
        scope children;
        children.stop();
        children.spawn(wait_for_ever(cancellations));
        co_await children.join();
        CHECK(cancellations == 1);
    });
}

TEST_CASE("cancellation travels through nested scopes and deadlines", "[coro]")
{
    run_to_end([]() -> task<> {
        int cancellations = 0;
        scope outer;
        outer.spawn([](int& count) -> task<> {
            deadline roomy{1h};
            scope inner;
            inner.spawn(wait_for_ever(count));
            inner.spawn([](int& inner_count) -> task<> {
                deadline also_roomy{1h};
                co_await wait_for_ever(inner_count);
            }(count));
            co_await inner.join();
            // The joiner itself was stopped, too: its next wait ends at once.
            try {
                co_await sleep_for(1h);
            } catch (const cancelled&) {
                ++count;
            }
        }(cancellations));
        co_await sleep_for(1ms);
        outer.stop();
        co_await outer.join();
        CHECK(cancellations == 3);
    });
}

TEST_CASE("a stopped strand that joins waits until its children have ended", "[coro]")
{
    run_to_end([]() -> task<> {
        bool child_cleaned_up = false;
        bool parent_went_on_too_early = false;
        scope outer;
        outer.spawn([](bool& cleaned, bool& early) -> task<> {
            scope inner;
            inner.spawn([](bool& done) -> task<> {
                try {
                    co_await sleep_for(1h);
                } catch (const cancelled&) {
                }
                shield protect{1s};
                co_await sleep_for(10ms);
                done = true;
            }(cleaned));
            co_await inner.join();
            early = !cleaned;
        }(child_cleaned_up, parent_went_on_too_early));
        co_await sleep_for(1ms);
        outer.stop();
        co_await outer.join();
        CHECK(child_cleaned_up);
        CHECK_FALSE(parent_went_on_too_early);
    });
}

TEST_CASE("in_scope joins on every way out of its body", "[coro]")
{
    run_to_end([]() -> task<> {
        int cancellations = 0;
        bool caught = false;
        try {
            auto body = [&cancellations](scope& children) -> task<> {
                children.spawn(wait_for_ever(cancellations));
                co_await sleep_for(1ms);
                throw std::runtime_error("the body's own");
            };
            co_await in_scope(body);
        } catch (const std::runtime_error& error) {
            caught = std::string{error.what()} == "the body's own";
        }
        CHECK(caught);
        CHECK(cancellations == 1);
    });
}

TEST_CASE("in_scope gives a child's error when the body has none", "[coro]")
{
    CHECK_THROWS_AS(run_to_end([]() -> task<> {
                        auto body = [](scope& children) -> task<> {
                            children.spawn(fail_after(1ms));
                            co_return;
                        };
                        co_await in_scope(body);
                    }),
                    std::runtime_error);
}

TEST_CASE("a strand moves to another scope between its waits", "[coro]")
{
    run_to_end([]() -> task<> {
        scope first;
        scope second;
        int cancellations = 0;
        first.spawn([](scope& next, int& count) -> task<> {
            co_await sleep_for(1ms);
            next.adopt(*whence::internal::ctx.current);
            co_await wait_for_ever(count);
        }(second, cancellations));
        co_await sleep_for(2ms);
        CHECK(first.size() == 0);
        CHECK(second.size() == 1);
        first.stop();
        co_await sleep_for(1ms);
        CHECK(cancellations == 0);
        second.stop();
        co_await second.join();
        CHECK(cancellations == 1);
    });
}

TEST_CASE("one that joins an emptied scope is woken when the last strand moves away", "[coro]")
{
    run_to_end([]() -> task<> {
        scope first;
        scope second;
        first.spawn([](scope& next) -> task<> {
            co_await sleep_for(1ms);
            next.adopt(*whence::internal::ctx.current);
            co_await sleep_for(5ms);
        }(second));
        co_await first.join();
        CHECK(second.size() == 1);
        co_await second.join();
    });
}

TEST_CASE("a strand that takes its cancellation for an error to retry is unwound", "[coro]")
{
    run_to_end([]() -> task<> {
        int tries = 0;
        scope children;
        children.spawn([](int& count) -> task<> {
            event never;
            for (;;) {
                auto waiting = as_result(never.wait());
                const std::error_code error = co_await waiting;
                CHECK(error == std::errc::operation_canceled);
                ++count;
            }
        }(tries));
        co_await sleep_for(1ms);
        children.stop();
        co_await children.join();
        CHECK(tries > 100);
        CHECK(tries < 2000);
    });
}

#include <whence/runtime/inbox.hpp>

#include "support/run_here.hpp"

#include <whence/coro/deadline.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <deque>
#include <thread>

using namespace whence;
using support::run_here;
using whence::internal::inbox;
using whence::internal::message;
using whence::internal::notice;

namespace {

struct numbered : message {
    int sender = 0;
    int number = 0;
    struct log* to = nullptr;
};

struct log {
    std::array<std::vector<int>, 4> of_sender;
    std::size_t received = 0;
    event all;
    std::size_t expected = 0;
};

constexpr int senders = 4;
constexpr int messages = 5'000;

}  // namespace

TEST_CASE("messages of several threads all come, each thread's in order", "[runtime]")
{
    run_here([]() -> task<> {
        log seen;
        seen.expected = senders * messages;
        std::deque<numbered> sent(seen.expected);
        inbox& mail = runtime::current().mail();
        std::vector<std::thread> threads;
        for (int sender = 0; sender < senders; ++sender) {
            threads.emplace_back([&, sender] {
                for (int i = 0; i < messages; ++i) {
                    numbered& one = sent[static_cast<std::size_t>(sender * messages + i)];
                    one.sender = sender;
                    one.number = i;
                    one.to = &seen;
                    one.receive = [](message& got) noexcept {
                        auto& it = static_cast<numbered&>(got);
                        it.to->of_sender[static_cast<std::size_t>(it.sender)].push_back(it.number);
                        if (++it.to->received == it.to->expected)
                            it.to->all.set();
                    };
                    mail.push(one);
                }
            });
        }
        co_await seen.all.wait();
        for (std::thread& thread : threads)
            thread.join();
        for (const auto& numbers : seen.of_sender) {
            CHECK(numbers.size() == messages);
            CHECK(std::ranges::is_sorted(numbers));
        }
    });
}

TEST_CASE("a message of the owner's own is received before the loop waits", "[runtime]")
{
    run_here([]() -> task<> {
        event received;
        notice one{runtime::current().mail(),
                   [](void* at) noexcept { static_cast<event*>(at)->set(); }, &received};
        one.raise();
        CHECK_FALSE(received.is_set());
        co_await received.wait();  // with nothing else that could wake it
    });
}

TEST_CASE("a notice is received after the last time that it was raised", "[runtime]")
{
    run_here([]() -> task<> {
        struct state {
            std::atomic<int> raised{0};
            int seen = 0;
            event complete;
        } all;
        constexpr int times = 20'000;
        notice one{runtime::current().mail(),
                   [](void* at) noexcept {
                       auto& self = *static_cast<state*>(at);
                       self.seen = self.raised.load();
                       if (self.seen == times)
                           self.complete.set();
                   },
                   &all};
        std::thread other{[&] {
            for (int i = 0; i < times; ++i) {
                ++all.raised;
                one.raise();
            }
        }};
        co_await all.complete.wait();
        other.join();
        CHECK(all.seen == times);
    });
}

TEST_CASE("a notice that goes is received first", "[runtime]")
{
    run_here([]() -> task<> {
        int received = 0;
        {
            notice one{runtime::current().mail(),
                       [](void* at) noexcept { ++*static_cast<int*>(at); }, &received};
            one.raise();
            one.raise();
        }
        CHECK(received == 1);
        co_return;
    });
}

TEST_CASE("what a message raises in its own runtime is received without delay", "[runtime]")
{
    struct chain {
        event received;
        notice second{runtime::current().mail(),
                      [](void* self) noexcept { static_cast<chain*>(self)->received.set(); }, this};
        notice first{runtime::current().mail(),
                     [](void* self) noexcept { static_cast<chain*>(self)->second.raise(); }, this};
    };
    run_here([]() -> task<> {
        chain both;
        const auto begin = std::chrono::steady_clock::now();
        std::jthread other{[&both] { both.first.raise(); }};
        // Something else would wake the loop at last.
        deadline limit{20s};
        auto waiting = as_result(both.received.wait());
        co_await waiting;
        CHECK(std::chrono::steady_clock::now() - begin < 2s);
    });
}

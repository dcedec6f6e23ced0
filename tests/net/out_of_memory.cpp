#include <whence/net/serve.hpp>

#include "support/run_server.hpp"
#include "support/scarce_memory.hpp"

#include <whence/net/outbox.hpp>

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <string>

using namespace whence;
using support::ask;
using support::echo;
using support::fuse;
using support::run_here;

TEST_CASE("a connection that there is no memory for costs itself alone", "[net][kernel]")
{
    std::size_t refused = 0;
    for (std::size_t k = 1;; ++k) {
        bool blown = false;
        std::string answer;
        run_here([&]() -> task<> {
            std::vector<listener> listeners;
            listeners.push_back(listener::bind("unix:@whence-memory-" + std::to_string(getpid())));
            const endpoint address = listeners.front().local();
            scope server;
            server.spawn(serve(std::move(listeners), echo));
            co_await support::settle();
            {
                const fuse lit{k};
                try {
                    co_await ask(address, "lost, perhaps");
                } catch (const std::exception&) {
                    ++refused;
                }
                blown = fuse::blown();
            }
            answer = co_await ask(address, "hello");
            runtime::current().drain().set();
            co_await server.join();
        });
        REQUIRE(answer == "hello");
        if (!blown)
            break;
    }
    CHECK(refused > 0);
}

TEST_CASE("a settled outbox allocates nothing for a message", "[outbox]")
{
    for (const outbox_policy policy : {outbox_policy::wait, outbox_policy::drop_oldest}) {
        run_here([policy]() -> task<> {
            auto pair = co_await support::connect_pair();
            std::size_t counted = 0;
            auto session = [&](outbox& out) -> task<> {
                const std::string text(100, 'x');
                for (int round = 0; round < 200; ++round) {
                    if (round == 100)
                        counted = support::allocations();
                    for (int i = 0; i < 20; ++i)
                        co_await out.push(text);
                    co_await out.flush();
                    for (std::size_t received = 0; received < 20 * text.size();) {
                        const chunk part = co_await pair.client.receive();
                        received += part.size();
                    }
                }
                counted = support::allocations() - counted;
            };
            co_await with_outbox(pair.server, {.when_full = policy}, session);
            CHECK(counted == 0);
        });
    }
}

TEST_CASE("a message that there is no memory for costs itself alone", "[outbox]")
{
    run_here([]() -> task<> {
        auto pair = co_await support::connect_pair();
        auto session = [](outbox& out) -> task<> {
            // The bytes' block, then the one of their sizes.
            for (const std::size_t k : {1u, 2u}) {
                const fuse lit{k};
                CHECK(out.try_push("lost") == push_outcome::no_memory);
                CHECK(fuse::blown());
            }
            CHECK(out.counters().dropped == 2);
            CHECK(out.bytes() == 0);
            CHECK(out.try_push(std::string(100, 'a')) == push_outcome::queued);
            const std::string waits(60, 'b');
            scope pusher;
            pusher.spawn([](outbox& to, const std::string& text) -> task<> {
                const push_outcome pushed = co_await to.push(text);
                CHECK(pushed == push_outcome::no_memory);
            }(out, waits));
            {
                const fuse lit{1};  // its room would be the second block
                co_await pusher.join();
                CHECK(fuse::blown());
            }
            CHECK(out.try_push("c") == push_outcome::queued);
        };
        co_await with_outbox(pair.server, {.bytes_max = 100, .when_full = outbox_policy::wait},
                             session);
        pair.server.close();
        std::string all;
        while (auto part = co_await pair.client.receive())
            all += part.text();
        CHECK(all == std::string(100, 'a') + "c");
    });
}

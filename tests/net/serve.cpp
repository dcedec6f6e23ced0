#include <whence/net/serve.hpp>

#include "support/run_server.hpp"

#include <whence/coro/yield.hpp>

#include <catch2/catch_test_macros.hpp>

#include <deque>
#include <stdexcept>
#include <string>

using namespace whence;
using support::ask;
using support::echo;
using support::run_here;
using support::with_server;

namespace {

/// Is an application with one gate, for what only the server does with gates.
class gated final : public application {
public:
    using function = task<verdict> (*)(const void*, connection&);
    explicit gated(function gate) : gate_{{{gate, nullptr}}} {}
    std::span<const gate_reference> gates() const noexcept override { return gate_; }
    task<> session(connection& conn) const override { return echo(conn); }

private:
    std::array<gate_reference, 1> gate_;
};

/// Waits until the peer has ended the connection; tells whether it was with a reset.
task<bool> was_reset(connection& conn)
{
    for (;;) {
        auto receiving = as_result(conn.receive());
        const result<chunk> got = co_await receiving;
        if (!got)
            co_return got.error() == std::errc::connection_reset;
        if (!*got)
            co_return false;
    }
}

}  // namespace

TEST_CASE("a handler serves many connections side by side", "[net]")
{
    run_here([]() -> task<> {
        co_await with_server(echo, [](endpoint address) -> task<> {
            scope clients;
            int answered = 0;
            for (int i = 0; i < 100; ++i) {
                clients.spawn([](endpoint to, int number, int& count) -> task<> {
                    const std::string text = "client " + std::to_string(number);
                    const std::string answer = co_await ask(to, text);
                    count += answer == text;
                }(address, i, answered));
            }
            co_await clients.join();
            CHECK(answered == 100);
        });
    });
}

TEST_CASE("a session that throws closes its own connection and no other", "[net]")
{
    run_here([]() -> task<> {
        auto handler = [](connection& conn) -> task<> {
            const chunk got = co_await conn.receive();
            if (got.text() == "throw")
                throw std::runtime_error("the handler's own");
            co_await conn.write(got);
        };
        co_await with_server(handler, [](endpoint address) -> task<> {
            connection bystander = co_await connect(address);
            const std::string thrown = co_await ask(address, "throw");
            CHECK(thrown == "reset");
            co_await bystander.write("still here");
            const chunk answer = co_await bystander.receive();
            CHECK(answer.text() == "still here");
        });
    });
}

TEST_CASE("a gate that refuses closes without a byte", "[net]")
{
    run_here([]() -> task<> {
        auto app = std::make_unique<const gated>([](const void*, connection&) -> task<verdict> {
            co_return verdict::refuse_quietly("closed_today");
        });
        co_await with_server(std::unique_ptr<const application>{std::move(app)},
                             [](endpoint address) -> task<> {
                                 const std::string answer = co_await ask(address, "hello");
                                 CHECK(answer == "reset");
                             });
    });
}

TEST_CASE("connections beyond handshakes_max are refused, those inside are not disturbed", "[net]")
{
    run_here([]() -> task<> {
        // The gate waits for a byte, so silent connections stay at it.
        auto app = std::make_unique<const gated>([](const void*, connection& on) -> task<verdict> {
            co_await on.peek(1);
            co_return verdict::pass();
        });
        co_await with_server(std::unique_ptr<const application>{std::move(app)},
                             [](endpoint address) -> task<> {
                                 std::deque<connection> silent;
                                 for (int i = 0; i < 3; ++i)
                                     silent.push_back(co_await connect(address));
                                 co_await support::settle();
                                 connection fourth = co_await connect(address);
                                 const bool reset = co_await was_reset(fourth);
                                 CHECK(reset);
                                 // One of the three goes on, so there is room again.
                                 co_await silent.front().write("x");
                                 const chunk answer = co_await silent.front().receive();
                                 CHECK(answer.text() == "x");
                                 const std::string late = co_await ask(address, "room again");
                                 CHECK(late == "room again");
                             },
                             {.handshakes_max = 3});
    });
}

TEST_CASE("a drain closes what is at a gate and lets sessions finish", "[net]")
{
    run_here([]() -> task<> {
        auto app = std::make_unique<const gated>([](const void*, connection& on) -> task<verdict> {
            co_await on.peek(1);
            co_return verdict::pass();
        });
        std::vector<listener> listeners;
        listeners.push_back(listener::bind("127.0.0.1:0"));
        const endpoint address = listeners.front().local();
        scope server;
        server.spawn(
            serve(std::move(listeners), std::unique_ptr<const application>{std::move(app)}));
        connection at_gate = co_await connect(address);
        connection in_session = co_await connect(address);
        co_await in_session.write("first");
        const chunk first = co_await in_session.receive();
        CHECK(first.text() == "first");

        runtime::current().drain().set();
        auto waiting = as_result(at_gate.receive());
        const result<chunk> closed = co_await waiting;
        const bool over = !closed || !*closed;
        CHECK(over);
        bool refused = false;
        try {
            co_await connect(address);
        } catch (const std::system_error& error) {
            refused = error.code() == std::errc::connection_refused;
        }
        CHECK(refused);
        co_await in_session.write("second");
        const chunk second = co_await in_session.receive();
        CHECK(second.text() == "second");
        in_session.shutdown();
        co_await server.join();
    });
}

TEST_CASE("a session that outlasts the drain is cancelled", "[net]")
{
    run_here([]() -> task<> {
        const time_point start = now();
        co_await with_server(echo,
                             [](endpoint address) -> task<> {
                                 // Kept open by a strand of the runtime that waits for the server's
                                 // end.
                                 connection idle = co_await connect(address);
                                 co_await idle.write("x");
                                 co_await idle.receive();
                                 runtime::current().root().spawn([](connection held) -> task<> {
                                     co_await was_reset(held);
                                 }(std::move(idle)));
                             },
                             {.drain_time_max = 50ms});
        CHECK(now() - start >= 50ms);
        CHECK(now() - start < 5s);
    });
}

TEST_CASE("a stopped serve() ends at once, without a drain", "[net]")
{
    run_here([]() -> task<> {
        std::vector<listener> listeners;
        listeners.push_back(listener::bind("127.0.0.1:0"));
        const endpoint address = listeners.front().local();
        scope server;
        server.spawn(serve(std::move(listeners), echo, {.drain_time_max = 1h}));
        connection idle = co_await connect(address);
        co_await idle.write("x");
        co_await idle.receive();
        server.stop();
        co_await server.join();
        const chunk end = co_await idle.receive();
        CHECK_FALSE(end);
    });
}

TEST_CASE("an address that cannot be had is told when the server is awaited", "[net]")
{
    run_here([]() -> task<> {
        auto serving = serve("192.0.2.1:1", echo);
        std::string what;
        try {
            co_await serving;
        } catch (const std::system_error& error) {
            what = error.what();
        }
        CHECK(what.starts_with("bind 192.0.2.1:1: "));
    });
}

TEST_CASE("serving survives a fault at every operation", "[net]")
{
    support::run_with_every_fault([]() -> task<> {
        co_await with_server(echo,
                             [](endpoint address) -> task<> {
                                 deadline limit{1s};
                                 const std::string answer = co_await ask(address, "hello");
                                 CHECK((answer == "hello" || answer == "reset" || answer.empty() ||
                                        std::string_view{"hello"}.starts_with(answer)));
                             },
                             {.drain_time_max = 10ms});
    });
}

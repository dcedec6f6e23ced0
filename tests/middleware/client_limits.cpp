#include <whence/middleware/client_limits.hpp>

#include "support/run_server.hpp"

#include <whence/coro/yield.hpp>
#include <whence/middleware/accept_header.hpp>
#include <whence/middleware/allow_deny.hpp>
#include <whence/middleware/limits.hpp>
#include <whence/middleware/pipeline.hpp>

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace whence;
using support::ask;
using support::connect_pair;
using support::run_here;
using support::with_server;

namespace {

task<> hold(connection& conn)
{
    co_await conn.write("in|");
    while (auto got = co_await conn.receive()) {
    }
}

constexpr std::string_view unknown = "PROXY UNKNOWN\r\n";
constexpr std::string_view local{"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16};
// The client claims to be a UNIX socket: a path of 108 bytes each.
const std::string claimed_unix = std::string{"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8", 16} + "/a" +
                                 std::string(106, '\0') + "/b" + std::string(106, '\0');

std::string header_of(std::string_view client)
{
    const bool v6 = client.find(':') != client.npos;
    return "PROXY " + std::string{v6 ? "TCP6 " : "TCP4 "} + std::string{client} + " " +
           (v6 ? "2001:db8::1" : "198.51.100.1") + " 4242 443\r\n";
}

/// Holds sessions open at a server, and tells which got in.
class visitors {
public:
    explicit visitors(endpoint address) : address_(std::move(address)) {}

    task<bool> enter(std::string_view header)
    {
        connection conn = co_await connect(address_);
        co_await conn.write(header);
        auto receiving = as_result(conn.receive());
        const auto greeting = co_await receiving;
        const bool in = greeting && greeting->text() == "in|";
        if (in)
            inside_.push_back(std::move(conn));
        co_return in;
    }
    task<> leave_all()
    {
        inside_.clear();
        co_await support::settle();
    }

private:
    endpoint address_;
    std::vector<connection> inside_;
};

template <class Gate, class Body>
void behind_proxy(const Gate& gate, Body body)
{
    run_here([&]() -> task<> {
        auto app = pipeline(proxy_protocol::accept({.trust = {"127.0.0.1"}}), gate, hold);
        co_await with_server(std::move(app), [&](endpoint address) -> task<> {
            visitors all{address};
            auto visiting = body(all);
            co_await visiting;
            co_await all.leave_all();
        });
    });
}

}  // namespace

TEST_CASE("the client behind the proxy is limited, not the proxy", "[middleware]")
{
    const client_limits gate{{.connections_per_client_max = 2}};
    behind_proxy(gate, [&gate](visitors& all) -> task<> {
        for (const std::string_view client : {"203.0.113.7", "203.0.113.8", "2001:db8::7"}) {
            for (int i = 0; i < 3; ++i) {
                const bool in = co_await all.enter(header_of(client));
                CHECK(in == (i < 2));
            }
        }
        const bool neighbour = co_await all.enter(header_of("2001:db8::8"));  // of the same /64
        CHECK_FALSE(neighbour);
        CHECK(gate.clients() == 3);
        co_await all.leave_all();
        CHECK(gate.clients() == 0);
        const bool again = co_await all.enter(header_of("203.0.113.7"));
        CHECK(again);
    });
    CHECK(gate.clients() == 0);
}

TEST_CASE("health checks and unknown clients have bounds of their own", "[middleware]")
{
    const client_limits gate{{.connections_per_client_max = 1, .local_max = 2, .unknown_max = 3}};
    behind_proxy(gate, [&gate](visitors& all) -> task<> {
        const bool client = co_await all.enter(header_of("127.0.0.1"));
        CHECK(client);
        for (int i = 0; i < 4; ++i) {
            const bool in = co_await all.enter(i == 1 ? std::string_view{claimed_unix} : unknown);
            CHECK(in == (i < 3));
        }
        for (int i = 0; i < 3; ++i) {
            const bool in = co_await all.enter(local);
            CHECK(in == (i < 2));
        }
        CHECK(gate.clients() == 1);
        co_await all.leave_all();
        const bool again = co_await all.enter(local);
        CHECK(again);
    });
}

TEST_CASE("new connections have a rate for each client", "[middleware]")
{
    const client_limits gate{{.new_per_second_max = 1, .new_burst_max = 2}};
    behind_proxy(gate, [&gate](visitors& all) -> task<> {
        for (int i = 0; i < 3; ++i) {
            const bool in = co_await all.enter(header_of("203.0.113.7"));
            CHECK(in == (i < 2));
            co_await all.leave_all();
        }
        const bool other = co_await all.enter(header_of("203.0.113.8"));
        CHECK(other);
        CHECK(gate.clients() == 2);  // the first one's rate is remembered
    });
}

TEST_CASE("a UNIX peer is its user", "[middleware]")
{
    run_here([]() -> task<> {
        const client_limits gate{{.connections_per_client_max = 1, .unknown_max = 1}};
        std::vector<listener> listeners;
        listeners.push_back(
            listener::bind("unix:@whence-client-limits-" + std::to_string(getpid())));
        visitors all{listeners.front().local()};
        scope server;
        server.spawn(serve(std::move(listeners), pipeline(gate, hold)));
        const bool first = co_await all.enter("");
        CHECK(first);
        CHECK(gate.clients() == 1);
        const bool second = co_await all.enter("");
        CHECK_FALSE(second);
        co_await all.leave_all();
        CHECK(gate.clients() == 0);
        runtime::current().drain().set();
        co_await server.join();
    });
}

TEST_CASE("copies count together in all threads, and a place outlives its gate", "[middleware]")
{
    constexpr int threads = 4;
    constexpr u32 places = 5;
    const auto gate = std::make_unique<client_limits>(
        client_limits_options{.connections_per_client_max = places});
    std::atomic<u32> in = 0;
    std::atomic<int> done = 0;
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t)
        all.emplace_back([&in, &done, copy = *gate] {
            runtime here{support::open_test_driver()};
            here.run([](const client_limits& gate_here, std::atomic<u32>& passed,
                        std::atomic<int>& finished) -> task<> {
                std::vector<support::connected_pair> pairs;
                for (u32 i = 0; i < places; ++i) {
                    auto pair = co_await connect_pair();
                    pairs.push_back(std::move(pair));
                    const verdict answer = co_await gate_here(pairs.back().server);
                    if (answer.passed())
                        ++passed;
                }
                ++finished;
                // Nobody gives a place back before all have asked.
                while (finished != threads)
                    co_await yield{};
            }(copy, in, done));
        });
    for (auto& each : all)
        each.join();
    CHECK(in == places);
    CHECK(gate->clients() == 0);

    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        {
            const client_limits short_lived{{}};
            const verdict answer = co_await short_lived(pair.server);
            CHECK(answer.passed());
        }
    });
}

TEST_CASE("gates that judge clients do not stand in front of the header gate", "[middleware]")
{
    using internal::judges_behind_names;
    using proxy_protocol::accept;
    using last = decltype(&hold);
    static_assert(judges_behind_names<accept, client_limits, allow, deny, limits, last>());
    static_assert(judges_behind_names<limits, accept, last>());
    static_assert(judges_behind_names<client_limits, allow, deny, last>());
    static_assert(!judges_behind_names<client_limits, accept, last>());
    static_assert(!judges_behind_names<allow, accept, last>());
    static_assert(!judges_behind_names<deny, limits, accept, last>());
    static_assert(gate<client_limits> && gate<allow> && gate<deny> && gate<limits>);
    SUCCEED();
}

TEST_CASE("client limits that make no sense are refused by name", "[middleware]")
{
    struct row {
        client_limits_options options;
        std::string_view named;
    };
    for (const row& wrong :
         {row{{.connections_per_client_max = 0}, "connections_per_client_max"},
          row{{.new_per_second_max = 0}, "new_per_second_max"},
          row{{.new_burst_max = 5}, "new_burst_max"}, row{{.ipv4_prefix = 33}, "ipv4_prefix"},
          row{{.ipv6_prefix = 129}, "ipv6_prefix"}, row{{.clients_max = 0}, "clients_max"}})
    {
        std::string said;
        try {
            client_limits{wrong.options};
        } catch (const std::invalid_argument& error) {
            said = error.what();
        }
        CHECK(said.find(wrong.named) != said.npos);
    }
}

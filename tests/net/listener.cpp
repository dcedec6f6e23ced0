#include <whence/net/listener.hpp>

#include "support/run_here.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/coro/yield.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <deque>
#include <stdexcept>
#include <string>

using namespace whence;
using support::run_here;

TEST_CASE("a bound listener knows its real port", "[net]")
{
    const listener one = listener::bind("127.0.0.1:0");
    CHECK(one.local().port() != 0);
    const listener other = listener::bind("[::1]:0");
    CHECK(to_string(other.local()).starts_with("[::1]:"));
}

TEST_CASE("a listener that cannot be bound says where and why", "[net]")
{
    const listener first = listener::bind("127.0.0.1:0");
    try {
        const listener second = listener::bind(first.local());
        FAIL("bound twice");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::address_in_use);
        CHECK(std::string{error.what()} ==
              "bind " + to_string(first.local()) + ": Address already in use");
    }
    CHECK_THROWS_AS(listener::bind("nonsense"), std::invalid_argument);
}

TEST_CASE("a dual-stack listener sees IPv4 peers as IPv4", "[net]")
{
    run_here([]() -> task<> {
        listener at = listener::bind("[::]:0");
        connection client =
            co_await connect(endpoint{ip_address::v4(127, 0, 0, 1), at.local().port()});
        const connection server = co_await at.accept();
        CHECK(to_string(server.peer()).starts_with("127.0.0.1:"));
        CHECK(server.peer() == client.local());
        CHECK(to_string(server.local()) == "127.0.0.1:" + std::to_string(at.local().port()));
        connection over_v6 =
            co_await connect(endpoint{*ip_address::parse("::1"), at.local().port()});
        const connection server_v6 = co_await at.accept();
        CHECK(to_string(server_v6.peer()).starts_with("[::1]:"));
    });
}

TEST_CASE("an IPv6-only listener does not answer to IPv4", "[net]")
{
    run_here([]() -> task<> {
        listener at = listener::bind("[::]:0", {.v6_only = true});
        std::error_code refused;
        try {
            co_await connect(endpoint{ip_address::v4(127, 0, 0, 1), at.local().port()});
        } catch (const std::system_error& error) {
            refused = error.code();
        }
        CHECK(refused == std::errc::connection_refused);
    });
}

TEST_CASE("a UNIX listener accepts, and the peer has no name", "[net]")
{
    run_here([]() -> task<> {
        listener at = listener::bind("unix:@whence-test-" + std::to_string(getpid()));
        connection client = co_await connect(at.local());
        connection server = co_await at.accept();
        CHECK(server.peer().kind() == endpoint_kind::unix_unnamed);
        CHECK(server.local() == at.local());
        co_await client.write("over unix");
        const chunk got = co_await server.receive();
        CHECK(got.text() == "over unix");
    });
}

TEST_CASE("accept can be cancelled and used again", "[net]")
{
    run_here([]() -> task<> {
        listener at = listener::bind("127.0.0.1:0");
        for (int i = 0; i < 3; ++i) {
            deadline limit{5ms};
            auto accepting = as_result(at.accept());
            const result<connection> none = co_await accepting;
            CHECK_FALSE(none.has_value());
        }
        connection client = co_await connect(at.local());
        const connection server = co_await at.accept();
        CHECK(server.peer() == client.local());
    });
}

TEST_CASE("connections that arrive between accepts are kept, and closed with the listener", "[net]")
{
    run_here([]() -> task<> {
        std::deque<connection> clients;
        {
            listener at = listener::bind("127.0.0.1:0");
            clients.push_back(co_await connect(at.local()));
            const connection first = co_await at.accept();
            for (int i = 0; i < 20; ++i)
                clients.push_back(co_await connect(at.local()));
            co_await support::settle();
            for (int i = 0; i < 10; ++i) {
                const connection next = co_await at.accept();
                CHECK(next.peer() == clients[static_cast<std::size_t>(i) + 1].local());
            }
        }
        // The other ten were never taken: their clients see an end, not silence.
        for (std::size_t i = 11; i < clients.size(); ++i) {
            auto receiving = as_result(clients[i].receive());
            const result<chunk> end = co_await receiving;
            const bool over = !end || !*end;
            CHECK(over);
        }
    });
}

TEST_CASE("a closed listener's port is free at once", "[net]")
{
    run_here([]() -> task<> {
        endpoint address;
        {
            listener at = listener::bind("127.0.0.1:0");
            address = at.local();
            connection client = co_await connect(address);
            const connection server = co_await at.accept();
        }
        co_await support::settle();
        const listener again = listener::bind(address);
        CHECK(again.local() == address);
    });
}

TEST_CASE("when descriptors run out accept says so, and goes on once some are free", "[net]")
{
    run_here([]() -> task<> {
        listener at = listener::bind("127.0.0.1:0");
        const connection client = co_await connect(at.local());
        rlimit before{};
        getrlimit(RLIMIT_NOFILE, &before);
        const rlimit tight{.rlim_cur = static_cast<rlim_t>(client.native_handle() + 1),
                           .rlim_max = before.rlim_max};
        setrlimit(RLIMIT_NOFILE, &tight);
        auto accepting = as_result(at.accept());
        const result<connection> none = co_await accepting;
        setrlimit(RLIMIT_NOFILE, &before);
        REQUIRE_FALSE(none.has_value());
        CHECK(none.error() == std::errc::too_many_files_open);
        const connection server = co_await at.accept();
        CHECK(server.peer() == client.local());
    });
}

TEST_CASE("a listener outlives its runtime, and accepts in the next one", "[net]")
{
    listener at = listener::bind("127.0.0.1:0");
    for (int i = 0; i < 2; ++i) {
        runtime here;
        const support::watchdog bounded{here};
        here.run([](listener& from) -> task<> {
            const connection client = co_await connect(from.local());
            const connection server = co_await from.accept();
            CHECK(server.peer() == client.local());
        }(at));
    }
}

TEST_CASE("accepting survives a fault at every operation", "[net]")
{
    support::run_with_every_fault([]() -> task<> {
        listener at = listener::bind("127.0.0.1:0");
        connection client = co_await connect(at.local());
        deadline limit{2s};
        connection server = co_await at.accept();
        co_await client.write("x");
        const chunk got = co_await server.receive();
        CHECK(got.size() <= 1);
    });
}

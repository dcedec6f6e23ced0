#include <whence/net/connection.hpp>

#include "support/run_here.hpp"

#include <whence/coro/deadline.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

using namespace whence;
using support::connect_pair;
using support::run_here;
using support::run_with_every_fault;

TEST_CASE("a farewell arrives, and a clean end, though the peer's bytes were not read", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        co_await pair.client.write("a request that nobody reads");
        co_await pair.server.write("farewell");
        scope server;
        server.spawn(pair.server.close_lingering());
        const chunk farewell = co_await pair.client.receive();
        co_await pair.client.write("more of it");
        CHECK(farewell.text() == "farewell");
        const chunk end = co_await pair.client.receive();
        CHECK_FALSE(end);
        CHECK(pair.server.is_open());  // until the peer has ended, too
        pair.client.close();
        co_await server.join();
        CHECK_FALSE(pair.server.is_open());
    });
}

TEST_CASE("lingering ends at its time, and at its size", "[net]")
{
    run_here([]() -> task<> {
        auto silent = co_await connect_pair();
        const time_point start = now();
        co_await silent.server.close_lingering(65'536, 30ms);
        CHECK(now() - start >= 30ms);
        CHECK(now() - start < 5s);
        CHECK_FALSE(silent.server.is_open());

        auto talking = co_await connect_pair();
        const std::string much(std::size_t{64} << 20, 'x');
        scope client;
        std::error_code failed;
        client.spawn(
            [](connection& conn, const std::string& text, std::error_code& error) -> task<> {
                auto writing = as_result(conn.write(text));
                error = co_await writing;
            }(talking.client, much, failed));
        co_await talking.server.close_lingering(10'000, 1h);
        CHECK_FALSE(talking.server.is_open());
        CHECK(talking.server.bytes_received() >= 10'000);
        CHECK(talking.server.bytes_received() < 20'000);
        co_await client.join();
        CHECK(failed);  // unread bytes waited: a reset
    });
}

TEST_CASE("lingering goes on in a stopped scope, up to its time", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        scope server;
        server.spawn([](connection& conn) -> task<> {
            auto napping = as_result(sleep_for(1h));
            const std::error_code stopped = co_await napping;
            CHECK(stopped == std::errc::operation_canceled);
            co_await conn.close_lingering(65'536, 200ms);
            CHECK_FALSE(conn.is_open());
        }(pair.server));
        co_await support::settle();
        server.stop();
        const chunk end = co_await pair.client.receive();
        CHECK_FALSE(end);
        CHECK(pair.server.is_open());
        pair.client.close();
        co_await server.join();
    });
}

TEST_CASE("lingering on a closed connection, or after a cut write, does not wait", "[net]")
{
    run_here([]() -> task<> {
        auto closed = co_await connect_pair();
        closed.server.close();
        co_await closed.server.close_lingering(65'536, 1h);

        auto cut = co_await connect_pair();
        const std::string much(std::size_t{64} << 20, 'x');
        {
            deadline limit{10ms};
            auto writing = as_result(cut.server.write(much));
            const std::error_code error = co_await writing;
            CHECK(error == std::errc::operation_canceled);
        }
        co_await cut.server.close_lingering(65'536, 1h);
        CHECK_FALSE(cut.server.is_open());
    });
}

TEST_CASE("lingering survives a fault at every operation", "[net]")
{
    run_with_every_fault([]() -> task<> {
        auto pair = co_await connect_pair();
        co_await pair.client.write("unread");
        pair.client.shutdown();
        co_await pair.server.close_lingering(65'536, 50ms);
        CHECK_FALSE(pair.server.is_open());
    });
}

#include <whence/net/connection.hpp>

#include "support/run_here.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/coro/yield.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace whence;
using support::connect_pair;
using support::connected_pair;
using support::run_here;

TEST_CASE("errors name the call", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        pair.server.abort();
        std::string what;
        try {
            co_await pair.client.receive();
        } catch (const std::system_error& error) {
            what = error.what();
        }
        CHECK(what == "receive: Connection reset by peer");
    });
}

TEST_CASE("a write into a closed connection is an error, not a signal", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        pair.server.abort();
        std::error_code error;
        for (int i = 0; i < 100 && !error; ++i) {
            auto writing = as_result(pair.client.write("x"));
            error = co_await writing;
            co_await yield{};
        }
        const bool gone = error == std::errc::broken_pipe || error == std::errc::connection_reset;
        CHECK(gone);
    });
}

TEST_CASE("behind the peer's clean end a reset of what we wrote is none for the reader", "[net]")
{
    run_here([]() -> task<> {
        connected_pair pair = co_await connect_pair();
        co_await pair.server.write("all");
        pair.server.close();
        co_await sleep_for(20ms);
        for (const bool reset_came : {false, true}) {
            auto writing = as_result(pair.client.write("x"));
            const std::error_code told = co_await writing;
            if (reset_came)
                CHECK(told == std::errc::broken_pipe);
            else
                CHECK(!told);
            co_await sleep_for(20ms);
        }
        const chunk all = co_await pair.client.receive();
        CHECK(all.text() == "all");
        const chunk end = co_await pair.client.receive();
        CHECK(!end);
    });
}

TEST_CASE("what follows a write that was told of a reset is no clean end", "[net]")
{
    run_here([]() -> task<> {
        connected_pair pair = co_await connect_pair();
        pair.server.abort();
        co_await sleep_for(20ms);
        auto writing = as_result(pair.client.write("x"));
        const std::error_code told = co_await writing;
        CHECK(told == std::errc::connection_reset);
        auto receiving = as_result(pair.client.receive());
        const result<chunk> got = co_await receiving;
        REQUIRE(!got);
        CHECK(got.error() == std::errc::connection_reset);
        auto filling = as_result(pair.client.fill());
        const result<std::size_t> filled = co_await filling;
        CHECK((!filled && filled.error() == std::errc::connection_reset));
        std::byte one{};
        auto reading = as_result(pair.client.read_some({&one, 1}));
        const result<std::size_t> read = co_await reading;
        CHECK((!read && read.error() == std::errc::connection_reset));
    });
}

#include <whence/middleware/limits.hpp>

#include "support/run_server.hpp"

#include <whence/middleware/accept_header.hpp>
#include <whence/middleware/pipeline.hpp>

#include <catch2/catch_test_macros.hpp>

#include <stdexcept>
#include <string>

using namespace whence;
using support::ask;
using support::run_here;
using support::with_server;

namespace {

/// Ends as it is told: returns, throws, aborts, or stays until it is cancelled.
task<> obey(connection& conn)
{
    co_await conn.write("in|");
    while (auto got = co_await conn.receive()) {
        if (got.text() == "throw")
            throw std::runtime_error("told to");
        if (got.text() == "abort")
            conn.abort();
        if (got.text() != "stay")
            co_return;
    }
}

/// Connects, and waits until its session runs or was refused.
task<std::optional<connection>> enter(const endpoint& address)
{
    connection conn = co_await connect(address);
    auto receiving = as_result(conn.receive());
    const auto greeting = co_await receiving;
    if (greeting && greeting->text() == "in|")
        co_return std::move(conn);
    co_return std::nullopt;
}

}  // namespace

TEST_CASE("one connection more than the limit is refused", "[middleware]")
{
    run_here([]() -> task<> {
        const limits bound{{.connections_max = 2}};
        co_await with_server(pipeline(bound, obey), [&bound](endpoint address) -> task<> {
            auto first = co_await enter(address);
            auto second = co_await enter(address);
            CHECK((first && second));
            CHECK(bound.connections() == 2);
            const std::string third = co_await ask(address, "");
            CHECK(third == "reset");
            CHECK(bound.connections() == 2);
            first->shutdown();
            co_await support::settle();
            CHECK(bound.connections() == 1);
            const std::string fourth = co_await ask(address, "");
            CHECK(fourth == "in|");
        });
        CHECK(bound.connections() == 0);
    });
}

TEST_CASE("a place is given back on every way out", "[middleware]")
{
    const limits bound{{.connections_max = 1}};
    for (const std::string how : {"return", "throw", "abort", "stay"}) {
        CAPTURE(how);
        run_here([&]() -> task<> {
            co_await with_server(pipeline(bound, obey),
                                 [&](endpoint address) -> task<> {
                                     auto conn = co_await enter(address);
                                     CHECK(bound.connections() == 1);
                                     co_await conn->write(how);
                                     co_await support::settle();
                                     CHECK(bound.connections() == (how == "stay" ? 1u : 0u));
                                 },
                                 {.drain_time_max = 1ms});
        });
        CHECK(bound.connections() == 0);
    }
    // A later gate that refuses, in front and behind a wrapper.
    struct closed {
        task<verdict> operator()(connection&) const { co_return verdict::refuse_quietly("closed"); }
    };
    auto through = [](connection& conn, const auto& next) -> task<> { co_await next(conn); };
    run_here([&]() -> task<> {
        co_await with_server(pipeline(bound, closed{}, obey),
                             [](endpoint address) -> task<> { co_await ask(address, ""); });
    });
    run_here([&]() -> task<> {
        co_await with_server(pipeline(through, bound, closed{}, obey),
                             [](endpoint address) -> task<> { co_await ask(address, ""); });
    });
    CHECK(bound.connections() == 0);
}

TEST_CASE("connections may be limited in front of the header gate, too", "[middleware]")
{
    run_here([]() -> task<> {
        const limits bound{{.connections_max = 1}};
        auto app = pipeline(bound, proxy_protocol::accept({.trust = {"127.0.0.1"}}), obey);
        co_await with_server(std::move(app), [&bound](endpoint address) -> task<> {
            const connection silent = co_await connect(address);
            co_await support::settle();
            CHECK(bound.connections() == 1);
            const std::string answer = co_await ask(address, "");
            CHECK(answer == "reset");
        });
    });
}

TEST_CASE("a limit that would serve nobody is refused", "[middleware]")
{
    CHECK_THROWS_AS(limits({.connections_max = 0}), std::invalid_argument);
}

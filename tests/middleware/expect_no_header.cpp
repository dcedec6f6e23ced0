#include <whence/middleware/expect_no_header.hpp>

#include "support/captured.hpp"
#include "support/run_server.hpp"

#include <whence/middleware/pipeline.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

using namespace whence;
using proxy_protocol::expect_no_header;
using support::ask;
using support::echo;
using support::run_here;
using support::with_server;

namespace {

/// Reads into bytes of its own.
task<> echo_copied(connection& conn)
{
    std::array<char, 100> room{};
    for (;;) {
        const std::size_t size = co_await conn.read_some(std::as_writable_bytes(std::span{room}));
        if (size == 0)
            co_return;
        co_await conn.write(std::string_view{room.data(), size});
    }
}

/// Sends all of `texts`, one connection each; gives the hints that were logged.
template <class Handler>
std::vector<std::string> hints_for(std::vector<std::string> texts, Handler handler)
{
    const support::captured log{2};
    run_here([&]() -> task<> {
        auto app = pipeline(expect_no_header{}, handler);
        co_await with_server(std::move(app), [&texts](endpoint address) -> task<> {
            for (const std::string& text : texts) {
                const std::string answer = co_await ask(address, text);
                CHECK(answer == text);  // the handler got every byte
            }
        });
    });
    std::vector<std::string> hints;
    for (const nlohmann::json& event : log.events()) {
        CHECK(event["event"] == "hint");
        CHECK(event["peer"].get<std::string>().starts_with("127.0.0.1:"));
        CHECK(event["local"].get<std::string>().starts_with("127.0.0.1:"));
        hints.push_back(event["hint"]);
    }
    return hints;
}

const std::string v1 = "PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\n";
const std::string v2{"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16};

}  // namespace

TEST_CASE("a header on a listener that reads none is payload, and a hint", "[middleware]")
{
    const std::vector<std::string> expected{"PROXY v1 header on a listener without the gate",
                                            "PROXY v2 signature on a listener without the gate"};
    CHECK(hints_for({v1 + "hello", v2 + "hello"}, echo) == expected);
    CHECK(hints_for({v1, v2}, echo_copied) == expected);
}

TEST_CASE("what is no header gives no hint", "[middleware]")
{
    CHECK(hints_for({"hello", "GET / HTTP/1.1\r\n", "", "PROXY", "x" + v2}, echo).empty());
}

TEST_CASE("only the first bytes are looked at", "[middleware]")
{
    const support::captured log{2};
    run_here([]() -> task<> {
        auto pair = co_await support::connect_pair();
        const auto twice = [&pair](connection& conn) -> task<> {
            co_await pair.client.write("x");
            const chunk first = co_await conn.receive();
            co_await pair.client.write(v2);
            const chunk second = co_await conn.receive();
            CHECK(first.text() == "x");
            CHECK(second.text() == v2);
        };
        const expect_no_header layer;
        co_await layer(pair.server, twice);
    });
    CHECK(log.events().empty());
}

TEST_CASE("a handler that speaks first, or never listens, is not kept waiting", "[middleware]")
{
    run_here([]() -> task<> {
        const auto speak = [](connection& conn) -> task<> { co_await conn.write("220 ready\r\n"); };
        co_await with_server(pipeline(expect_no_header{}, speak), [](endpoint address) -> task<> {
            connection conn = co_await connect(address);
            const chunk greeting = co_await conn.receive();
            CHECK(greeting.text() == "220 ready\r\n");
        });
    });
}

TEST_CASE("a first receive that is cancelled leaves the connection as it was", "[middleware]")
{
    run_here([]() -> task<> {
        auto pair = co_await support::connect_pair();
        const auto patient = [&pair](connection& conn) -> task<> {
            {
                deadline limit{5ms};
                auto receiving = as_result(conn.receive());
                const result<chunk> none = co_await receiving;
                CHECK(none.error() == std::errc::operation_canceled);
            }
            co_await pair.client.write("late");
            const chunk got = co_await conn.receive();
            CHECK(got.text() == "late");
        };
        const expect_no_header layer;
        co_await layer(pair.server, patient);
        co_await pair.client.write("after");
        const chunk got = co_await pair.server.receive();
        CHECK(got.text() == "after");
    });
}

TEST_CASE("looking for a header survives a fault at every operation", "[middleware]")
{
    support::run_with_every_fault([]() -> task<> {
        auto pair = co_await support::connect_pair();
        co_await pair.client.write("hello");
        pair.client.shutdown();
        const expect_no_header layer;
        co_await layer(pair.server, echo);
    });
}

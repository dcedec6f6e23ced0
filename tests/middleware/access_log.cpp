#include <whence/middleware/access_log.hpp>

#include "support/captured.hpp"
#include "support/run_server.hpp"

#include <whence/middleware/accept_header.hpp>
#include <whence/middleware/pipeline.hpp>
#include <whence/middleware/time_limits.hpp>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <stdexcept>
#include <string>
#include <vector>

using namespace whence;
using support::ask;
using support::captured;
using support::run_here;
using support::with_server;

namespace {

task<> nap(nanoseconds time)
{
    co_await sleep_for(time);
}

task<> obey(connection& conn)
{
    const chunk got = co_await conn.receive();
    if (got.text() == "throw")
        throw std::runtime_error("told to");
    while (got.text() == "stay") {
        const chunk more = co_await conn.receive();
        static_cast<void>(more);
        co_await sleep_for(1h);
    }
}

std::vector<nlohmann::json> log_of(log_stream to, int fd, std::string text)
{
    const captured log{fd};
    run_here([&]() -> task<> {
        auto app = pipeline(proxy_protocol::accept({.trust = {"127.0.0.1"}}), access_log{to}, obey);
        co_await with_server(std::move(app),
                             [&text](endpoint address) -> task<> { co_await ask(address, text); },
                             {.drain_time_max = 10ms});
    });
    return log.events();
}

/// Ends in the way that the client names.
task<> end_as_told(connection& conn)
{
    const chunk got = co_await conn.receive();
    const std::string_view way = got.text();
    if (way == "break")
        throw_error(ECONNRESET, "told to");
    if (way == "cut")
        throw_error(ECONNABORTED, "told to");
    if (way == "deadline")
        co_await with_deadline(1ms, nap(1h));
    if (way == "stay")
        co_await conn.write("staying");
    if (way == "stay" || way == "quiet")
        co_await nap(1h);
    if (way == "flood") {
        const std::string much(std::size_t{64} << 20, 'x');
        co_await conn.write(much);
    }
    if (way == "polite") {
        auto napping = as_result(sleep_for(1h));
        const std::error_code woken = co_await napping;
        CHECK(woken == std::errc::operation_canceled);
    }
}

std::vector<nlohmann::json> log_of_limited(std::string text, bool inside)
{
    const captured log{2};
    const bool limited = text == "quiet" || text == "polite";
    const time_limits limits{{.idle_time_max = limited ? 30ms : 1h, .write_time_max = 30ms}};
    const time_limits none{{}};
    run_here([&]() -> task<> {
        auto app =
            pipeline(inside ? none : limits, access_log{}, inside ? limits : none, end_as_told);
        co_await with_server(std::move(app),
                             [&text](endpoint address) -> task<> {
                                 connection conn = co_await connect(address);
                                 co_await conn.write(text);
                                 if (text == "flood")
                                     co_await nap(1s);  // without reading
                                 auto receiving = as_result(conn.receive());
                                 const result<chunk> got = co_await receiving;
                                 static_cast<void>(got);
                             },
                             {.drain_time_max = 10ms});
    });
    return log.events();
}

const std::string header = "PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\n";

}  // namespace

TEST_CASE("every connection is a line with both views of its ends", "[middleware]")
{
    const auto events = log_of(log_stream::standard_error, 2, header + "hello");
    REQUIRE(events.size() == 1);
    const nlohmann::json& line = events.front();
    CHECK(line["event"] == "access");
    CHECK(line["client"] == "203.0.113.7:4242");
    CHECK(line["server"] == "198.51.100.1:443");
    CHECK(line["peer"].get<std::string>().starts_with("127.0.0.1:"));
    CHECK(line["local"].get<std::string>().starts_with("127.0.0.1:"));
    CHECK(line["origin"] == "proxied");
    CHECK(line["version"] == 1);
    CHECK(line["bytes_received"] == header.size() + 5);
    CHECK(line["bytes_sent"] == 0);
    CHECK(line["outcome"] == "closed");
    CHECK(line["duration_ms"].is_number_unsigned());
    const std::string time = line["time"];
    CHECK(time.size() == std::string{"2026-11-23T12:00:00.000Z"}.size());
    CHECK(time.starts_with("20"));
    CHECK(time.ends_with("Z"));
}

TEST_CASE("the line tells how the session ended", "[middleware]")
{
    const auto failed = log_of(log_stream::standard_error, 2, header + "throw");
    REQUIRE(failed.size() == 2);
    CHECK(failed[0]["event"] == "access");
    CHECK(failed[0]["outcome"] == "failed");
    CHECK(failed[1]["event"] == "session_failed");
    CHECK(failed[1]["error"] == "told to");
}

TEST_CASE("each way out of a session has its word", "[middleware]")
{
    struct row {
        std::string text;
        std::string outcome;
    };
    const row rows[] = {{"leave", "closed"},        {"break", "reset"},    {"cut", "reset"},
                        {"deadline", "timed_out"},  {"stay", "cancelled"}, {"quiet", "idle"},
                        {"flood", "write_stalled"}, {"polite", "idle"}};
    // The limits may stand on either side of the log.
    for (const bool inside : {true, false}) {
        for (const row& one : rows) {
            CAPTURE(one.text, inside);
            const auto events = log_of_limited(one.text, inside);
            REQUIRE(events.size() == (one.text == "stay" ? 2 : 1));
            CHECK(events.back()["event"] == "access");
            CHECK(events.back()["outcome"] == one.outcome);
            CHECK_FALSE(events.back().contains("version"));
        }
    }
}

TEST_CASE("the log goes where it is told to, or nowhere", "[middleware]")
{
    CHECK(log_of(log_stream::standard_output, 1, header + "hello").size() == 1);
    CHECK(log_of(log_stream::none, 2, header + "hello").empty());
}

TEST_CASE("a refused connection has a line of its own, and none in the access log", "[middleware]")
{
    const auto events = log_of(log_stream::standard_error, 2, "GET / HTTP/1.1\r\n");
    REQUIRE(events.size() == 1);
    CHECK(events[0]["event"] == "refused");
    CHECK(events[0]["reason"] == "malformed");
    CHECK(events[0]["detail"] ==
          "no_signature at byte 0; HTTP request where a PROXY header was required");
    CHECK(events[0]["peer"].get<std::string>().starts_with("127.0.0.1:"));
}

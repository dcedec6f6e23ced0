#include "programs/metrics.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace support;
using nlohmann::json;
using steady = std::chrono::steady_clock;

namespace {

constexpr const char* ended_total = "whence_sessions_ended_total";

/// Waits for the line in the access log that tells of a client.
json access_of(whoami_server& server, const std::string& who)
{
    const auto line = server.program().wait_for_error(
        holds({R"("event":"access")", R"("client":")" + who + '"'}));
    return line ? json::parse(*line) : json::object();
}

}  // namespace

TEST_CASE("time limits end idle and stalled sessions, and no others", "[time_limits]")
{
    constexpr milliseconds idle_time_max{400};
    constexpr milliseconds tick{50};
    const std::string more_than_fits(std::size_t{64} << 20, 'x');
    for (const char* threads : {"1", "2"}) {
        CAPTURE(threads);
        whoami_server server{
            trusting({"--threads", threads, "--idle-time-max", "400ms", "--write-time-max", "200ms",
                      "--send-buffer", "4096", "--metrics", "127.0.0.1:0"})};
        client busy = open_session(server.address(), "10.0.0.1:1024");
        client idle = open_session(server.address(), "10.0.0.2:1024");
        client stalled{server.address(), {.receive_buffer_size = 4096, .send_buffer_size = 4096}};
        stalled.send(header_of("10.0.0.3:1024") + more_than_fits, milliseconds{100});
        // The busy one is at it longer than both limits.
        const auto begin = steady::now();
        while (steady::now() - begin < 3 * idle_time_max) {
            CHECK(fault_of_an_echo(busy) == "");
            busy.wait_readable(tick);
        }
        CHECK(idle.read_to_end(milliseconds{0}).how == ending::closed);
        const json of_idle = access_of(server, "10.0.0.2:1024");
        CHECK(of_idle.value("outcome", "") == "idle");
        CHECK(of_idle.value("duration_ms", 0) >= 400);
        const json of_stalled = access_of(server, "10.0.0.3:1024");
        CHECK(of_stalled.value("outcome", "") == "write_stalled");
        CHECK(of_stalled.value("duration_ms", 0) >= 200);
        CHECK(stalled.read_to_end().how == ending::reset);
        CHECK(fault_of_an_echo(busy) == "");
        busy.finish();
        CHECK(access_of(server, "10.0.0.1:1024").value("outcome", "") == "closed");

        CHECK(wait_for_metric(server, "whence_sessions_open", 0) == 0);
        const metrics told{server};
        CHECK(told.value(ended_total, {R"(outcome="idle")"}) == 1);
        CHECK(told.value(ended_total, {R"(outcome="write_stalled")"}) == 1);
        CHECK(told.value(ended_total, {R"(outcome="closed")"}) == 1);
        CHECK(told.value(ended_total) == 3);
    }
}

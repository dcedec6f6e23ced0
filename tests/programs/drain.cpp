#include "programs/metrics.hpp"
#include "programs/whoami_server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <csignal>

using namespace support;
using nlohmann::json;
using steady = std::chrono::steady_clock;

TEST_CASE("SIGTERM lets sessions finish and refuses new connections", "[drain]")
{
    whoami_server server{trusting({"--drain-time-max", "60s"})};
    client session = open_session(server.address());
    server.program().signal(SIGTERM);
    REQUIRE(server.stops_listening());
    session.send("one more thing");
    CHECK(session.read_exactly(14) == "one more thing");
    session.finish();
    CHECK(session.read_to_end().how == ending::closed);
    CHECK(server.program().wait_for_exit() == 0);
    CHECK(server.count_of("drain_cut_short") == 0);
    CHECK(server.count_of("session_failed") == 0);
}

TEST_CASE("a drain that is announced goes on accepting while it is not ready any more", "[drain]")
{
    whoami_server server{
        trusting({"--drain-delay", "700ms", "--metrics", "127.0.0.1:0", "--threads", "2"})};
    const std::string status = status_address(server);
    CHECK(http_get(status, "/readyz").starts_with("HTTP/1.1 200 "));
    const auto begin = steady::now();
    server.program().signal(SIGTERM);
    while (http_get(status, "/readyz").starts_with("HTTP/1.1 200 "))
        REQUIRE(steady::now() - begin < step_time_max);
    CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
    REQUIRE(server.stops_listening());
    CHECK(steady::now() - begin >= milliseconds{700});
    CHECK(server.program().wait_for_exit() == 0);

    whoami_server patient{trusting({"--drain-delay", "1h"})};
    patient.program().signal(SIGTERM);
    patient.program().signal(SIGINT);
    CHECK(patient.program().wait_for_exit() == 0);
}

TEST_CASE("SIGTERM and SIGINT end a server that has nothing to do", "[drain]")
{
    for (const int signal : {SIGTERM, SIGINT}) {
        CAPTURE(signal);
        whoami_server server{trusting({"--drain-time-max", "60s"})};
        CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
        server.program().signal(signal);
        CHECK(server.program().wait_for_exit(milliseconds{2'000}) == 0);
    }
}

TEST_CASE("an idle session is cut at --drain-time-max and that is told", "[drain]")
{
    whoami_server server{trusting({"--drain-time-max", "300ms"})};
    client idle = open_session(server.address());
    client stuck = open_session(server.address());
    stuck.send_until_full(std::size_t{16} << 20);
    const auto begin = steady::now();
    server.program().signal(SIGTERM);
    CHECK(idle.read_to_end().how != ending::timed_out);
    CHECK(steady::now() - begin >= milliseconds{300});
    CHECK(server.program().wait_for_exit(milliseconds{2'000}) == 0);
    const auto line = server.program().wait_for_error(holds({"drain_cut_short"}));
    REQUIRE(line);
    const json said = json::parse(*line);
    CHECK(said.at("sessions") == 2);
    CHECK(said.at("waiting_at").size() == 2);
    CHECK(server.count_of("drain_cut_short") == 1);
    CHECK(server.count_of("session_failed") == 0);
}

TEST_CASE("SIGTERM closes connections that are still before their header", "[drain]")
{
    whoami_server server{trusting({"--drain-time-max", "60s", "--header-time-max", "60s"})};
    client session = open_session(server.address());
    client silent{server.address()};
    client begun{server.address()};
    begun.send(good_header.substr(0, 10));
    CHECK(fault_of_a_good_answer(server.address(), step_time_max) ==
          "");  // so both have been accepted
    server.program().signal(SIGTERM);
    CHECK(silent.read_to_end(milliseconds{2'000}).refused());
    CHECK(begun.read_to_end(milliseconds{2'000}).refused());
    session.send("still here");
    CHECK(session.read_exactly(10) == "still here");
    session.finish();
    CHECK(server.program().wait_for_exit() == 0);
    CHECK(server.count_of("refused") == 0);
}

TEST_CASE("a second SIGTERM ends at once", "[drain]")
{
    whoami_server server{trusting({"--drain-time-max", "60s"})};
    client idle = open_session(server.address());
    server.program().signal(SIGTERM);
    REQUIRE(server.stops_listening());
    server.program().signal(SIGTERM);
    CHECK(server.program().wait_for_exit(milliseconds{2'000}) == 0);
    CHECK(idle.read_to_end().how != ending::timed_out);
    CHECK(server.count_of("session_failed") == 0);
}

TEST_CASE("SIGHUP does not disturb a server", "[drain]")
{
    whoami_server server{trusting()};
    client session = open_session(server.address());
    server.program().signal(SIGHUP);
    CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
    session.send("hello");
    CHECK(session.read_exactly(5) == "hello");
}

#include "programs/metrics.hpp"
#include "programs/task_dump.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <set>

using namespace support;
using nlohmann::json;
using steady = std::chrono::steady_clock;

namespace {

constexpr std::size_t runtimes = 3;
constexpr std::size_t crowd = 30;

whoami_server three_runtimes(std::vector<std::string> more = {})
{
    more.insert(more.begin(), {"--threads", "3"});
    return whoami_server{trusting(more)};
}

/// Waits for the server's `count`-th line of an event, and gives it.
json event_of(whoami_server& server, const std::string& event, std::size_t count = 1)
{
    const auto line = server.program().wait_for_error([&](const std::string& text) {
        return holds({R"("event":")" + event + '"'})(text) && --count == 0;
    });
    return line ? json::parse(*line) : json::object();
}

}  // namespace

TEST_CASE("a drain lets the sessions of all runtimes finish", "[operations]")
{
    whoami_server server = three_runtimes({"--drain-time-max", "60s"});
    std::vector<client> sessions = open_sessions(server.address(), crowd);
    server.program().signal(SIGTERM);
    REQUIRE(server.stops_listening());
    for (client& session : sessions) {
        CHECK(fault_of_an_echo(session) == "");
        session.finish();
        CHECK(session.read_to_end().how == ending::closed);
    }
    CHECK(server.program().wait_for_exit() == 0);
    CHECK(server.count_of("access") == crowd);
    CHECK(server.count_of("drain_cut_short") == 0);
}

TEST_CASE("a second SIGTERM ends the sessions of all runtimes at once", "[operations]")
{
    whoami_server server = three_runtimes({"--drain-time-max", "60s"});
    std::vector<client> sessions = open_sessions(server.address(), crowd);
    server.program().signal(SIGTERM);
    REQUIRE(server.stops_listening());
    server.program().signal(SIGTERM);
    CHECK(server.program().wait_for_exit(milliseconds{2'000}) == 0);
    for (client& session : sessions)
        CHECK(session.read_to_end().how != ending::timed_out);
    CHECK(server.count_of("access") == crowd);
    CHECK(server.count_of("session_failed") == 0);
}

TEST_CASE("each runtime tells which sessions outlast the drain, if it has any", "[operations]")
{
    whoami_server server = three_runtimes({"--drain-time-max", "300ms"});
    // One in each runtime; the one that finishes leaves its runtime with nothing to tell.
    std::vector<client> sessions = open_sessions(server.address(), runtimes);
    auto told = dump_tasks(server, runtimes);
    for (const auto& [runtime, has] : told)
        CHECK(has.sessions == 1);
    const std::string finished = told[2].clients.at(0);
    for (std::size_t i = 0; i < runtimes; ++i) {
        if (client_name(i) == finished)
            sessions[i].finish();
    }
    REQUIRE(server.program().wait_for_error(holds({R"("event":"access")", finished})));

    server.program().signal(SIGTERM);
    CHECK(server.program().wait_for_exit() == 0);
    std::set<std::string> outlasting;
    for (const std::size_t runtime : {0u, 1u}) {
        CAPTURE(runtime);
        const std::string label = "\"runtime\":" + std::to_string(runtime);
        const auto line = server.program().wait_for_error(holds({"drain_cut_short", label}));
        REQUIRE(line);
        const json said = json::parse(*line);
        CHECK(said.at("sessions") == 1);
        REQUIRE(said.at("waiting_at").size() == 1);
        CHECK(said.at("waiting_at")[0].at("client") == told[runtime].clients.at(0));
    }
    CHECK(server.count_of("drain_cut_short") == 2);
}

TEST_CASE("SIGUSR1 tells the tasks of every runtime, and whom they serve", "[operations]")
{
    constexpr std::size_t count = 9;
    whoami_server server = three_runtimes();
    std::vector<client> sessions = open_sessions(server.address(), count);
    std::multiset<std::string> wanted;
    for (std::size_t i = 0; i < count; ++i)
        wanted.insert(client_name(i));
    for (int round = 0; round < 2; ++round) {
        std::multiset<std::string> clients;
        for (const auto& [runtime, told] : dump_tasks(server, runtimes)) {
            CHECK(told.sessions == count / runtimes);
            clients.insert(told.clients.begin(), told.clients.end());
        }
        CHECK(clients == wanted);
    }
    const auto line = server.program().wait_for_error(holds({R"("event":"task")", client_name(0)}));
    REQUIRE(line);
    const json task = json::parse(*line);
    CHECK(task.at("state") == "waiting");
    CHECK(task.at("in").get<std::string>().ends_with("/sessions"));
    CHECK(task.at("peer") == sessions.front().local());
    CHECK(task.at("listener") == server.address());
    for (client& session : sessions)
        CHECK(fault_of_an_echo(session) == "");
}

TEST_CASE("SIGHUP reads a list of clients again, and a bad one changes nothing", "[operations]")
{
    const temporary_directory folder;
    const std::string path = folder.write("denied", "# nobody yet\n");
    whoami_server server = three_runtimes({"--deny-file", path});
    std::vector<client> sessions;
    for (std::size_t i = 0; i < runtimes; ++i)
        sessions.push_back(open_session(server.address()));

    const auto refusals = [&server] {
        std::set<std::string> reasons;
        for (std::size_t i = 0; i < runtimes; ++i) {
            client denied{server.address()};
            denied.send(good_header);
            CHECK(denied.read_to_end().refused());
            reasons.insert(server.refusal_of(denied.local()));
        }
        return reasons;
    };
    folder.write("denied", "192.0.2.0/24\n203.0.113.7  # this one\n");
    server.program().signal(SIGHUP);
    json said = event_of(server, "reloaded");
    CHECK(said.value("file", "") == path);
    CHECK(said.value("entries", 0) == 2);
    CHECK(refusals() == std::set<std::string>{"denied"});
    for (client& session : sessions)
        CHECK(fault_of_an_echo(session) == "");
    CHECK_NOTHROW(open_session(server.address(), "203.0.113.8:4242"));

    folder.write("denied", "192.0.2.0/24\n203.0.113.7/33\n");
    server.program().signal(SIGHUP);
    said = event_of(server, "reload_failed");
    CHECK(said.value("file", "") == path);
    CHECK(said.value("error", "").starts_with(path + ":2: "));
    CHECK(said.value("error", "").find("\"33\"") != std::string::npos);
    CHECK(refusals() == std::set<std::string>{"denied"});

    folder.write("denied", "");
    server.program().signal(SIGHUP);
    said = event_of(server, "reloaded", 2);
    CHECK(said.value("entries", 1) == 0);
    for (std::size_t i = 0; i < runtimes; ++i)
        CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
    for (client& session : sessions)
        CHECK(fault_of_an_echo(session) == "");
}

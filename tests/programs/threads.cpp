#include "programs/metrics.hpp"
#include "programs/task_dump.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <latch>
#include <random>
#include <thread>

using namespace support;
using nlohmann::json;

namespace {

constexpr std::size_t crowd = 400;
constexpr const char* accepted_total = "whence_connections_accepted_total";

whoami_server two_runtimes(std::vector<std::string> more = {})
{
    more.insert(more.begin(), {"--threads", "2", "--metrics", "127.0.0.1:0", "--access-log", "off",
                               "--drain-time-max", "60s"});
    return whoami_server{trusting(more)};
}

/// Tells whether two runtimes have shares that differ by at most 5 % of what is even.
bool balanced(std::size_t a, std::size_t b)
{
    const std::size_t apart = std::max(a, b) - std::min(a, b);
    return 20 * apart <= (a + b) / 2;
}

/// Says who has how many of the open sessions when that is not even; "": it is.
std::string fault_of_balance(whoami_server& server, std::size_t open)
{
    auto told = dump_tasks(server, 2);
    const std::size_t a = told[0].sessions;
    const std::size_t b = told[1].sessions;
    if (a + b == open && balanced(a, b))
        return "";
    return std::to_string(a) + " and " + std::to_string(b) + " of " + std::to_string(open);
}

/// Closes all sessions of one runtime, found by what it tells of its tasks.
std::size_t close_those_of(whoami_server& server, std::size_t runtime,
                           std::vector<client>& sessions)
{
    std::size_t open = sessions.size();
    for (;;) {
        const runtime_dump told = dump_tasks(server, 2).at(runtime);
        if (told.clients.empty())
            return open;
        for (const std::string& name : told.clients) {
            std::size_t i = 0;
            while (client_name(i) != name)
                ++i;
            sessions.at(i).close();
        }
        open -= told.clients.size();
        wait_for_metric(server, "whence_sessions_open", static_cast<long>(open));
    }
}

}  // namespace

TEST_CASE("long sessions are balanced over two runtimes, whoever has left", "[threads]")
{
    whoami_server server = two_runtimes();
    std::vector<client> sessions = open_sessions(server.address(), crowd);
    const metrics told{server};
    const long first = told.value(accepted_total, {R"(runtime="0")"});
    const long second = told.value(accepted_total, {R"(runtime="1")"});
    CHECK(first + second == static_cast<long>(crowd));
    CHECK(balanced(static_cast<std::size_t>(first), static_cast<std::size_t>(second)));
    CHECK(fault_of_balance(server, crowd) == "");

    SECTION("all of one runtime leave")
    {
        const std::size_t left = close_those_of(server, 1, sessions);
        CHECK(dump_tasks(server, 2).at(1).sessions == 0);
        const std::vector<client> more = open_sessions(server.address(), crowd - left);
        CHECK(fault_of_balance(server, crowd) == "");
        CHECK(metrics{server}.value(accepted_total, {R"(runtime="0")"}) == first);
    }
    SECTION("half leave at random")
    {
        std::ranges::shuffle(sessions, std::minstd_rand{42});
        sessions.erase(sessions.begin() + crowd / 2, sessions.end());
        CHECK(wait_for_metric(server, "whence_sessions_open", crowd / 2) == crowd / 2);
        const std::vector<client> more = open_sessions(server.address(), crowd / 2);
        CHECK(fault_of_balance(server, crowd) == "");
    }
}

TEST_CASE("with --spread reuse-port both runtimes serve, and both stop at a drain", "[threads]")
{
    whoami_server server = two_runtimes({"--spread", "reuse-port"});
    std::vector<client> sessions = open_sessions(server.address(), crowd);
    auto told = dump_tasks(server, 2);
    CHECK(told[0].sessions + told[1].sessions == crowd);
    for (const std::size_t runtime : {0u, 1u}) {
        CAPTURE(runtime);
        const std::string label = "runtime=\"" + std::to_string(runtime) + '"';
        const auto accepted = metrics{server}.value(accepted_total, {label});
        CHECK(accepted == static_cast<long>(told[runtime].sessions));
        // By chance, 100 or fewer come once in 10^24 runs.
        CHECK(accepted > 100);
    }
    server.program().signal(SIGTERM);
    CHECK(server.stops_listening());
    for (client& session : sessions)
        CHECK(fault_of_an_echo(session) == "");
    sessions.clear();
    CHECK(server.program().wait_for_exit() == 0);
    CHECK(server.program().errors_text().find("drain_cut_short") == std::string::npos);
}

namespace {

constexpr std::size_t limit = 7;
constexpr std::size_t claimants = 3;

/// Counts the connections of one client that have been answered and are not closed yet. That is
/// never more than the server counts.
struct claimant {
    std::string header;
    std::atomic<std::size_t> open = 0;
    std::atomic<std::size_t> open_most = 0;
    std::atomic<std::size_t> answered = 0;
    std::atomic<std::size_t> refused = 0;
    std::atomic<std::size_t> wrong = 0;  // neither

    /// Waits for the answer on a connection; true: it is served.
    bool read_answer(client& from)
    {
        const received said{from.read_line(), ending::kept_open};
        if (said.bytes.empty()) {
            const bool is_refused = from.read_to_end().refused();
            ++(is_refused ? refused : wrong);
            return false;
        }
        ++answered;
        const std::size_t now = ++open;
        std::size_t most = open_most;
        while (most < now && !open_most.compare_exchange_weak(most, now)) {
        }
        return true;
    }
    bool connect(const std::string& address, std::vector<client>& held)
    {
        client one{address};
        one.send(header);
        const bool is_served = read_answer(one);
        if (is_served)
            held.push_back(std::move(one));
        return is_served;
    }
    void release(std::vector<client>& held)
    {
        --open;
        held.pop_back();
    }
};

/// A version 2 header for 203.0.113.`number`:4242.
std::string header_v2_of(std::size_t number)
{
    std::string header{good_header_v2};
    header[19] = static_cast<char>(number);
    return header;
}

/// Connects and lets go, holding up to `held_max` connections.
void churn(claimant& as, const std::string& address, unsigned seed)
{
    constexpr int steps = 150;
    constexpr std::size_t held_max = 4;
    std::minstd_rand chance{seed};
    std::vector<client> held;
    for (int i = 0; i < steps; ++i) {
        if (held.size() == held_max || (!held.empty() && chance() % 3 == 0))
            as.release(held);
        else
            as.connect(address, held);
    }
    while (!held.empty())
        as.release(held);
}

}  // namespace

TEST_CASE("a client's limit of connections holds exactly across runtimes", "[threads]")
{
    constexpr unsigned threads_each = 4;
    constexpr std::size_t at_once = 100;
    whoami_server server = two_runtimes({"--client-connections-max", std::to_string(limit)});
    std::array<claimant, claimants> all;
    for (std::size_t i = 0; i < claimants; ++i)
        all[i].header = header_v2_of(i + 1);
    {
        std::vector<std::jthread> storm;
        for (unsigned i = 0; i < threads_each * claimants; ++i)
            storm.emplace_back([&, i] { churn(all[i % claimants], server.address(), i); });
    }
    for (const claimant& one : all) {
        CHECK(one.wrong == 0);
        CHECK(one.open_most <= limit);
        CHECK(one.answered > 10 * limit);
        CHECK(one.refused > 0);
    }
    CHECK(wait_for_metric(server, "whence_sessions_open", 0) == 0);

    // All want in at the same moment: as many stay as may.
    std::array<std::vector<client>, claimants> comers;
    std::latch start{claimants};
    {
        std::vector<std::jthread> rush;
        for (std::size_t i = 0; i < claimants; ++i)
            rush.emplace_back([&, i] {
                start.arrive_and_wait();
                for (std::size_t n = 0; n < at_once; ++n)
                    comers[i].emplace_back(server.address()).send(all[i].header);
            });
    }
    for (std::size_t i = 0; i < claimants; ++i) {
        std::erase_if(comers[i], [&](client& one) { return !all[i].read_answer(one); });
        CHECK(comers[i].size() == limit);
        CHECK(all[i].open == limit);
    }
    CHECK(wait_for_metric(server, "whence_sessions_open", limit * claimants) == limit * claimants);
    for (std::vector<client>& held : comers) {
        for (client& one : held)
            CHECK(fault_of_an_echo(one) == "");
    }

    // Places come free for the same client, and for no other.
    for (std::size_t i = 0; i < 3; ++i)
        all[0].release(comers[0]);
    CHECK(wait_for_metric(server, "whence_sessions_open", limit * claimants - 3) ==
          limit * claimants - 3);
    for (std::size_t i = 0; i < 10; ++i) {
        CHECK(all[0].connect(server.address(), comers[0]) == (i < 3));
        CHECK_FALSE(all[1].connect(server.address(), comers[1]));
    }
    std::size_t refused = 0;
    for (const claimant& one : all) {
        CHECK(one.open == limit);
        CHECK(one.open_most <= limit);
        CHECK(one.wrong == 0);
        refused += one.refused;
    }
    CHECK(metrics{server}.value("whence_connections_refused_total",
                                {R"(reason="client_connections")"}) == static_cast<long>(refused));
    CHECK(metrics{server}.value("whence_connections_refused_total") == static_cast<long>(refused));
    for (const char* runtime : {R"(runtime="0")", R"(runtime="1")"})
        CHECK(metrics{server}.value(accepted_total, {runtime}) > 100);
}

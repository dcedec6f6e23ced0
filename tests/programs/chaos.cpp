#include "programs/metrics.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <csignal>

using namespace support;
using nlohmann::json;
using steady = std::chrono::steady_clock;

namespace {

constexpr milliseconds answer_time_max{500};
constexpr milliseconds tick{50};
const client_options small_buffers{
    .source = {}, .receive_buffer_size = 4096, .send_buffer_size = 4096};
constexpr std::size_t flood_size_max = std::size_t{256} << 10;
const std::string too_large_header{"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", 16};

std::size_t count_lines(whoami_server& server, std::vector<std::string> parts)
{
    const auto lines = server.program().error_lines();
    return static_cast<std::size_t>(
        std::count_if(lines.begin(), lines.end(), holds(std::move(parts))));
}

/// Is what metrics and stderr tell of how connections ended: the same.
class told_ends {
public:
    explicit told_ends(whoami_server& server) : server_(server), metrics_(server) {}

    /// Counts the refusals for one reason.
    std::size_t refused_as(const std::string& reason) const
    {
        return agreed(count_lines(server_, {R"("event":"refused")", member("reason", reason)}),
                      value("whence_connections_refused_total", {label("reason", reason)}));
    }
    /// Counts the sessions that ended in one way.
    std::size_t ended_as(const std::string& outcome) const
    {
        return agreed(count_lines(server_, {R"("event":"access")", member("outcome", outcome)}),
                      value("whence_sessions_ended_total", {label("outcome", outcome)}));
    }
    std::size_t refused() const
    {
        return agreed(server_.count_of("refused"), value("whence_connections_refused_total", {}));
    }
    std::size_t ended() const
    {
        return agreed(server_.count_of("access"), value("whence_sessions_ended_total", {}));
    }
    /// Counts those that left before a session, which no line tells.
    std::size_t left_as(const std::string& how) const
    {
        return value("whence_connections_left_total", {label("reason", how)});
    }
    std::size_t value(const std::string& name, const std::vector<std::string>& labels) const
    {
        return static_cast<std::size_t>(metrics_.value(name, labels));
    }

private:
    static std::string member(const std::string& name, const std::string& text)
    {
        return '"' + name + "\":\"" + text + '"';
    }
    static std::string label(const std::string& name, const std::string& text)
    {
        return name + "=\"" + text + '"';
    }
    static std::size_t agreed(std::size_t by_lines, std::size_t by_metrics)
    {
        CHECK(by_lines == by_metrics);
        return by_lines;
    }

    whoami_server& server_;
    metrics metrics_;
};

/// Fills both directions and reads nothing.
client get_stuck(const std::string& address, std::string_view header)
{
    client stuck{address, small_buffers};
    stuck.send(header);
    stuck.send_until_full(flood_size_max);
    return stuck;
}

/// Comes once in each way that is refused, and resets once in each phase.
void misbehave(const std::string& address)
{
    client untrusted{address, {.source = "127.0.0.2"}};
    CHECK(untrusted.read_to_end().refused());
    client malformed{address};
    malformed.send("GET / HTTP/1.0\r\n\r\n");
    CHECK(malformed.read_to_end().refused());
    client too_large{address};
    too_large.send(too_large_header);
    CHECK(too_large.read_to_end().refused());
    client truncated{address};
    truncated.send(good_header.substr(0, 20));
    truncated.finish();
    CHECK(truncated.read_to_end().refused());
    client gone{address};  // as a health check does
    gone.close();
    client before_a_byte{address};
    before_a_byte.reset();
    client in_the_header{address};
    in_the_header.send(good_header.substr(0, 20));
    in_the_header.reset();
    client in_the_session = open_session(address);
    in_the_session.reset();
}

std::vector<client> connect_many(std::size_t count, const std::string& address)
{
    std::vector<client> many;
    many.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
        many.emplace_back(address);
    return many;
}

}  // namespace

TEST_CASE("of everything at once nothing delays another, and each is told as what it is", "[chaos]")
{
    constexpr std::size_t crowd = 20;
    whoami_server server{trusting({"--header-time-max", "5s", "--metrics", "127.0.0.1:0"})};
    CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
    const std::size_t descriptors = server.program().open_descriptors();

    const std::vector<client> silent = connect_many(crowd, server.address());
    std::vector<client> slow_writers = connect_many(crowd, server.address());
    std::vector<client> half_open = connect_many(crowd, server.address());
    std::vector<client> slow_readers;
    for (std::size_t i = 0; i < crowd; ++i) {
        half_open[i].send(good_header);
        half_open[i].finish();
        slow_readers.push_back(get_stuck(server.address(), good_header_v2));
    }
    const std::string slow_words = std::string{good_header_v2} + "slow";
    for (const char& byte : slow_words) {
        const auto next = steady::now() + tick;
        for (client& writer : slow_writers)
            CHECK(writer.send({&byte, 1}));
        misbehave(server.address());
        CHECK(fault_of_a_good_answer(server.address(), answer_time_max) == "");
        const auto left = std::chrono::ceil<milliseconds>(next - steady::now());
        slow_writers.front().wait_readable(std::max(left, milliseconds{0}));
    }
    for (client& writer : slow_writers) {
        writer.finish();
        const conversation said = read_conversation(writer);
        CHECK(said.answer.value("client", "") == good_client);
        CHECK(said.echo == "slow");
        CHECK(said.how == ending::closed);
    }
    for (client& waiting : half_open) {
        const conversation said = read_conversation(waiting);
        CHECK(said.answer.value("client", "") == good_client);
        CHECK(said.how == ending::closed);
    }
    for (client& reader : slow_readers)
        reader.reset();
    // The silent ones are all that is left, and they go at their deadline.
    CHECK(server.program().wait_for_descriptors(descriptors) == descriptors);

    const std::size_t rounds = slow_words.size();
    // The first good answer, those of the rounds, slow writers, half-open ones, as often closed
    // as reset; the lines are written behind the counting.
    const std::size_t sessions = 1 + 2 * rounds + 3 * crowd;
    std::size_t lines = 0;
    CHECK(server.program().wait_for_error([&](const std::string& line) {
        lines += line.find(R"("event":"access")") != std::string::npos;
        return lines == sessions;
    }));
    const told_ends told{server};
    for (const char* reason : {"untrusted", "malformed", "too_large", "truncated"}) {
        CAPTURE(reason);
        CHECK(told.refused_as(reason) == rounds);
    }
    CHECK(told.refused_as("too_late") == crowd);
    CHECK(told.refused() == 4 * rounds + crowd);
    CHECK(told.ended_as("closed") == 1 + rounds + 2 * crowd);
    CHECK(told.ended_as("reset") == rounds + crowd);  // reset in the session, slow readers
    CHECK(told.ended() == sessions);
    CHECK(told.left_as("closed") == rounds);
    CHECK(told.left_as("reset") + told.left_as("before_accept") == 2 * rounds);
    const std::size_t left = told.value("whence_connections_left_total", {});
    CHECK(left == 3 * rounds);
    CHECK(told.value("whence_connections_accepted_total", {}) + told.left_as("before_accept") ==
          told.refused() + told.ended() + left);
    CHECK(told.value("whence_handshakes_pending", {}) == 0);
    CHECK(told.value("whence_sessions_open", {}) == 0);

    server.program().signal(SIGTERM);
    CHECK(server.program().wait_for_exit() == 0);
    CHECK(server.count_of("refused") == 4 * rounds + crowd);
    CHECK(server.count_of("access") == sessions);
    CHECK(server.count_of("session_failed") == 0);
    CHECK(server.count_of("accept_failed") == 0);
}

TEST_CASE("a storm that takes every descriptor disturbs no session and costs no time", "[chaos]")
{
    constexpr std::size_t descriptors_max = 40;
    constexpr milliseconds back_time_max{2'000};
    whoami_server server{trusting({"--header-time-max", "60s", "--metrics", "127.0.0.1:0"}),
                         {.descriptors_max = descriptors_max}};
    CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
    const std::size_t before = server.program().open_descriptors();
    client session = open_session(server.address());
    std::vector<client> storm = connect_many(descriptors_max + 10, server.address());
    REQUIRE(server.program().wait_for_error(
        holds({R"("event":"accept_failed")", "Too many open files", server.address()})));

    client waiting{server.address()};
    waiting.send(std::string{good_header} + "ping");
    const std::size_t told = server.count_of("accept_failed");
    const milliseconds used = server.program().cpu_time();
    CHECK_FALSE(waiting.wait_readable(milliseconds{1'000}));
    CHECK(server.program().cpu_time() - used <= milliseconds{50});  // usual: none
    CHECK(server.count_of("accept_failed") - told <= 15);           // it pauses after each
    CHECK(server.count_of("accept_failed") > told);

    // While more come, and go again before anybody has taken them.
    for (int i = 0; i < 100; ++i) {
        storm.emplace_back(server.address()).send(good_header.substr(0, 20));
        client{server.address()}.reset();
        CHECK(fault_of_an_echo(session, answer_time_max) == "");
    }
    CHECK_FALSE(waiting.wait_readable(milliseconds{0}));
    for (client& one : storm)
        one.reset();
    CHECK(json::parse(waiting.read_line(back_time_max)).at("client") == good_client);
    CHECK(waiting.read_exactly(4) == "ping");
    // Behind those that have gone, which are accepted and closed as many at a time as fit.
    CHECK(fault_of_a_good_answer(server.address(), back_time_max) == "");
    CHECK(fault_of_a_good_answer(server.address(), answer_time_max) == "");
    CHECK(fault_of_an_echo(session, answer_time_max) == "");
    waiting.close();
    session.close();
    CHECK(server.program().wait_for_descriptors(before) == before);
    const told_ends told_at_end{server};
    CHECK(told_at_end.refused() == 0);
    CHECK(told_at_end.value("whence_accept_errors_total", {R"(error="EMFILE")"}) ==
          server.count_of("accept_failed"));
    CHECK(server.count_of("session_failed") == 0);
}

TEST_CASE("echo serves others while many do not read, and keeps nothing of them", "[chaos]")
{
    constexpr std::size_t stuck_count = 300;
    constexpr int rounds = 4;  // together more than there are buffers in the pool
    whoami_server server{{"--access-log", "off"}, {}, WHENCE_ECHO};
    client session{server.address()};
    CHECK(fault_of_an_echo(session, answer_time_max) == "");
    const std::size_t before = server.program().open_descriptors();
    for (int round = 0; round < rounds; ++round) {
        std::vector<client> stuck;
        for (std::size_t i = 0; i < stuck_count; ++i) {
            stuck.push_back(get_stuck(server.address(), ""));
            if (i % 10 == 0)
                CHECK(fault_of_an_echo(session, answer_time_max) == "");
            if (i % 100 == 0) {
                client another{server.address()};
                CHECK(fault_of_an_echo(another, answer_time_max) == "");
            }
        }
        for (std::size_t i = 0; i < stuck_count; i += 2)
            stuck[i].reset();
        stuck.clear();  // the others end with unread bytes
        CHECK(server.program().wait_for_descriptors(before) == before);
    }
    CHECK(fault_of_an_echo(session, answer_time_max) == "");
    session.close();
    server.program().signal(SIGTERM);
    CHECK(server.program().wait_for_exit() == 0);
    CHECK(server.program().error_lines().empty());
}

TEST_CASE("a client that has finished gets all of its echo, however late it reads", "[chaos]")
{
    whoami_server server{{}, {}, WHENCE_ECHO};
    client late{server.address(), small_buffers};
    const std::size_t sent = late.send_until_full(flood_size_max);
    late.finish();
    for (int i = 0; i < 20; ++i) {
        client another{server.address()};
        CHECK(fault_of_an_echo(another, answer_time_max) == "");
    }
    const received all = late.read_to_end();
    CHECK(all.bytes == std::string(sent, 'x'));
    CHECK(all.how == ending::closed);
    CHECK(server.program().wait_for_error(holds({R"("outcome":"closed")", late.local()})));
}

TEST_CASE("a reset at any phase of an echo is no failure", "[chaos]")
{
    whoami_server server{{"--access-log", "off"}, {}, WHENCE_ECHO};
    client session{server.address()};
    CHECK(fault_of_an_echo(session, answer_time_max) == "");
    const std::size_t before = server.program().open_descriptors();
    for (int i = 0; i < 50; ++i) {
        client{server.address()}.reset();
        client unread{server.address()};
        unread.send("unread");
        unread.wait_readable(step_time_max);
        unread.reset();
        client answered{server.address()};
        CHECK(fault_of_an_echo(answered, answer_time_max) == "");
        answered.reset();
        client finished{server.address(), small_buffers};
        finished.send_until_full(flood_size_max);
        finished.finish();
        finished.wait_readable(step_time_max);
        finished.reset();
        get_stuck(server.address(), "").reset();
        CHECK(fault_of_an_echo(session, answer_time_max) == "");
    }
    CHECK(server.program().wait_for_descriptors(before) == before);
    CHECK(server.program().error_lines().empty());
}

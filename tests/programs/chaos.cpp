#include "programs/whoami_server.hpp"

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

/// Counts the refusals for one reason, as stderr tells them.
std::size_t refused_as(whoami_server& server, const std::string& reason)
{
    return count_lines(server, {R"("event":"refused")", R"("reason":")" + reason + '"'});
}

/// Counts the sessions that ended in one way.
std::size_t ended_as(whoami_server& server, const std::string& outcome)
{
    return count_lines(server, {R"("event":"access")", R"("outcome":")" + outcome + '"'});
}

client open_session(const std::string& address)
{
    client session{address};
    session.send(good_header);
    REQUIRE(json::parse(session.read_line()).at("client") == good_client);
    return session;
}

/// Fills both directions and reads nothing.
client get_stuck(const std::string& address, std::string_view header)
{
    client stuck{address, small_buffers};
    stuck.send(header);
    stuck.send_until_full(flood_size_max);
    return stuck;
}

/// Says something and sees it come back. Says what was wrong; "": nothing.
std::string fault_of_an_echo(client& with, milliseconds time_max = answer_time_max)
{
    with.send("ping");
    const std::string answer = with.read_exactly(4, time_max);
    return answer == "ping" ? "" : "'" + answer + "'";
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
    whoami_server server{trusting({"--header-time-max", "5s"})};
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

    server.program().signal(SIGTERM);
    CHECK(server.program().wait_for_exit() == 0);
    const std::size_t rounds = slow_words.size();
    for (const char* reason : {"untrusted", "malformed", "too_large", "truncated"}) {
        CAPTURE(reason);
        CHECK(refused_as(server, reason) == rounds);
    }
    CHECK(refused_as(server, "too_late") == crowd);
    CHECK(server.count_of("refused") == 4 * rounds + crowd);
    // The first good answer, those of the rounds, slow writers, half-open ones.
    CHECK(ended_as(server, "closed") == 1 + rounds + 2 * crowd);
    CHECK(ended_as(server, "reset") == rounds + crowd);  // reset in the session, slow readers
    CHECK(server.count_of("access") == 1 + 2 * rounds + 3 * crowd);
    CHECK(server.count_of("session_failed") == 0);
    CHECK(server.count_of("accept_failed") == 0);
}

TEST_CASE("a storm that takes every descriptor disturbs no session and costs no time", "[chaos]")
{
    constexpr std::size_t descriptors_max = 40;
    constexpr milliseconds back_time_max{2'000};
    whoami_server server{trusting({"--header-time-max", "60s"}),
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
        CHECK(fault_of_an_echo(session) == "");
    }
    CHECK_FALSE(waiting.wait_readable(milliseconds{0}));
    for (client& one : storm)
        one.reset();
    CHECK(json::parse(waiting.read_line(back_time_max)).at("client") == good_client);
    CHECK(waiting.read_exactly(4) == "ping");
    // Behind those that have gone, which are accepted and closed as many at a time as fit.
    CHECK(fault_of_a_good_answer(server.address(), back_time_max) == "");
    CHECK(fault_of_a_good_answer(server.address(), answer_time_max) == "");
    CHECK(fault_of_an_echo(session) == "");
    waiting.close();
    session.close();
    CHECK(server.program().wait_for_descriptors(before) == before);
    CHECK(server.count_of("refused") == 0);
    CHECK(server.count_of("session_failed") == 0);
}

TEST_CASE("echo serves others while many do not read, and keeps nothing of them", "[chaos]")
{
    constexpr std::size_t stuck_count = 300;
    constexpr int rounds = 4;  // together more than there are buffers in the pool
    whoami_server server{{"--access-log", "off"}, {}, WHENCE_ECHO};
    client session{server.address()};
    CHECK(fault_of_an_echo(session) == "");
    const std::size_t before = server.program().open_descriptors();
    for (int round = 0; round < rounds; ++round) {
        std::vector<client> stuck;
        for (std::size_t i = 0; i < stuck_count; ++i) {
            stuck.push_back(get_stuck(server.address(), ""));
            if (i % 10 == 0)
                CHECK(fault_of_an_echo(session) == "");
            if (i % 100 == 0) {
                client another{server.address()};
                CHECK(fault_of_an_echo(another) == "");
            }
        }
        for (std::size_t i = 0; i < stuck_count; i += 2)
            stuck[i].reset();
        stuck.clear();  // the others end with unread bytes
        CHECK(server.program().wait_for_descriptors(before) == before);
    }
    CHECK(fault_of_an_echo(session) == "");
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
        CHECK(fault_of_an_echo(another) == "");
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
    CHECK(fault_of_an_echo(session) == "");
    const std::size_t before = server.program().open_descriptors();
    for (int i = 0; i < 50; ++i) {
        client{server.address()}.reset();
        client unread{server.address()};
        unread.send("unread");
        unread.wait_readable(step_time_max);
        unread.reset();
        client answered{server.address()};
        CHECK(fault_of_an_echo(answered) == "");
        answered.reset();
        client finished{server.address(), small_buffers};
        finished.send_until_full(flood_size_max);
        finished.finish();
        finished.wait_readable(step_time_max);
        finished.reset();
        get_stuck(server.address(), "").reset();
        CHECK(fault_of_an_echo(session) == "");
    }
    CHECK(server.program().wait_for_descriptors(before) == before);
    CHECK(server.program().error_lines().empty());
}

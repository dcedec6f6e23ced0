#include "programs/whoami_server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <numeric>

using namespace support;
using nlohmann::json;
using steady = std::chrono::steady_clock;

namespace {

constexpr milliseconds header_time_max{300};
constexpr milliseconds tolerance{700};  // the machine may be busy; usual is under 10 ms

milliseconds since(steady::time_point begin)
{
    return std::chrono::duration_cast<milliseconds>(steady::now() - begin);
}

const std::string signature{"\r\n\r\n\0\r\nQUIT\n", 12};

/// The fixed part of a version 2 header that announces `size` more bytes.
std::string announcing(unsigned size)
{
    std::string fixed = signature + "\x21\x11";
    fixed += static_cast<char>(size >> 8);
    fixed += static_cast<char>(size & 255);
    return fixed;
}

/// Refuses a client without a doubt; gives its address.
std::string be_refused(const std::string& server)
{
    client bad{server};
    std::string who = bad.local();
    bad.send("X");
    if (!bad.read_to_end().refused())
        who += " was not refused";
    return who;
}

}  // namespace

TEST_CASE("a refusal is told in one JSON line that says who and why", "[bad_input]")
{
    struct row {
        std::string sent;
        bool then_ends;
        const char* reason;
    };
    const row rows[]{
        {"GET / HTTP/1.1\r\n", false, "malformed"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n", false, "malformed"},
        {"PROXY " + std::string(102, 'x'), false, "malformed"},
        {"X", false, "malformed"},
        {signature + '\x31', false, "malformed"},
        {announcing(11), false, "malformed"},  // no room for two IPv4 addresses
        {announcing(4097), false, "too_large"},
        {announcing(65535), false, "too_large"},
        {"P", true, "truncated"},
        {"PROXY TCP4 1.2.3.4", true, "truncated"},
        {signature, true, "truncated"},
        {std::string{good_header_v2.substr(0, 27)}, true, "truncated"},
    };
    whoami_server server{trusting({"--header-time-max", "60s"})};
    std::size_t refused = 0;
    for (const row& bad : rows) {
        CAPTURE(bad.sent, bad.reason);
        client from{server.address()};
        const std::string who = from.local();
        from.send(bad.sent);
        if (bad.then_ends)
            from.finish();
        CHECK(from.read_to_end(milliseconds{2'000}).refused());
        CHECK(server.refusal_of(who) == bad.reason);
        CHECK(server.count_of("refused") == ++refused);
    }
    CHECK(server.count_of("access") == 0);
}

TEST_CASE("a header of exactly --header-size-max is accepted, one byte more is not", "[bad_input]")
{
    whoami_server server{trusting({"--header-size-max", "100", "--header-time-max", "60s"})};
    client fits{server.address()};
    std::string header = announcing(100) + std::string{good_header_v2.substr(16)};
    header += std::string{"\x04\0\x55", 3} + std::string(85, '\0');
    const conversation said = converse(fits, header + "rest");
    CHECK(said.answer.value("client", "") == good_client);
    CHECK(said.echo == "rest");

    client too_large{server.address()};
    const std::string who = too_large.local();
    too_large.send(announcing(101).substr(0, 15));
    CHECK_FALSE(too_large.wait_readable(milliseconds{50}));
    too_large.send(announcing(101).substr(15));  // the 16th byte
    CHECK(too_large.read_to_end(milliseconds{2'000}).refused());
    CHECK(server.refusal_of(who) == "too_large");
}

TEST_CASE("a silent client is gone at its deadline", "[bad_input]")
{
    whoami_server server{trusting({"--header-time-max", "300ms"})};
    const auto begin = steady::now();
    client silent{server.address()};
    const std::string who = silent.local();
    CHECK(silent.read_to_end().refused());
    CHECK(since(begin) >= header_time_max);
    CHECK(since(begin) < header_time_max + tolerance);
    CHECK(server.refusal_of(who) == "too_late");
}

TEST_CASE("a trickling client is gone at the same deadline", "[bad_input]")
{
    whoami_server server{trusting({"--header-time-max", "300ms"})};
    const auto begin = steady::now();
    client slow{server.address()};
    const std::string who = slow.local();
    for (const char& byte : good_header) {
        slow.send({&byte, 1});
        if (slow.wait_readable(milliseconds{25}))
            break;
    }
    CHECK(slow.read_to_end().refused());
    CHECK(since(begin) >= header_time_max);
    CHECK(since(begin) < header_time_max + tolerance);
    CHECK(server.refusal_of(who) == "too_late");
}

TEST_CASE("the deadline is for the header only", "[bad_input]")
{
    whoami_server server{trusting({"--header-time-max", "300ms"})};
    client quiet{server.address()};
    quiet.send(good_header);
    CHECK(json::parse(quiet.read_line()).at("client") == good_client);
    CHECK_FALSE(quiet.wait_readable(header_time_max * 2));
    quiet.send("still there?");
    CHECK(quiet.read_exactly(12) == "still there?");
}

TEST_CASE("a good client is answered at once while 50 bad ones go on", "[bad_input]")
{
    whoami_server server{trusting({"--header-time-max", "60s"})};
    std::vector<client> bad;
    for (int i = 0; i < 50; ++i) {
        bad.emplace_back(server.address());
        bad.back().send(good_header.substr(0, static_cast<std::size_t>(i) % good_header.size()));
    }
    CHECK(fault_of_a_good_answer(server.address(), milliseconds{500}) == "");
    for (client& one : bad)
        CHECK_FALSE(one.wait_readable(milliseconds{0}));
}

TEST_CASE("5,000 refusals are told in far fewer lines and a count", "[bad_input]")
{
    constexpr std::size_t storm = 5'000;
    whoami_server server{trusting()};
    for (std::size_t i = 0; i < storm; ++i)
        be_refused(server.address());
    // Of the following ones, some line is let through soon, and all before it are accounted for.
    std::size_t made = storm;
    bool told = false;
    for (const auto until = steady::now() + step_time_max; !told && steady::now() < until;) {
        const std::string who = be_refused(server.address());
        ++made;
        told = !server.refusal_of(who, milliseconds{100}).empty();
    }
    REQUIRE(told);
    const auto lines = server.program().error_lines();
    std::size_t told_one_by_one = 0;
    std::size_t told_by_count = 0;
    for (const std::string& line : lines) {
        const json said = json::parse(line);
        if (said.at("event") == "refused")
            ++told_one_by_one;
        else if (said.at("event") == "log_rate_limited")
            told_by_count += said.at("count").get<std::size_t>();
    }
    CHECK(lines.size() < storm / 2);
    CHECK(told_one_by_one + told_by_count == made);
}

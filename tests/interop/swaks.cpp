#include "interop/proxies.hpp"

#include <catch2/catch_test_macros.hpp>

#include <list>

using namespace support;
using nlohmann::json;

namespace {

struct mail_client {
    std::vector<std::string> words;
    const char* client;  // as whoami tells it; "": unknown, so itself
    const char* server;
    const char* sent;  // what the transcript shows: the line, or the bytes in base64
};

const mail_client served[]{
    {{"1", "--proxy-family", "TCP4"},
     "203.0.113.7:4242",
     "198.51.100.1:25",
     "PROXY TCP4 203.0.113.7 198.51.100.1 4242 25"},
    {{"1", "--proxy-family", "TCP6"},
     "[2001:db8::7]:4242",
     "[2001:db8::1]:25",
     "PROXY TCP6 2001:DB8::7 2001:DB8::1 4242 25"},
    {{"2", "--proxy-family", "AF_INET"},
     "203.0.113.7:4243",
     "198.51.100.1:25",
     "DQoNCgANClFVSVQKIREADMsAcQfGM2QBEJMAGQ=="},
    {{"2", "--proxy-family", "AF_INET6"},
     "[2001:db8::7]:4243",
     "[2001:db8::1]:25",
     "DQoNCgANClFVSVQKISEAJCABDbgAAAAAAAAAAAAAAAcgAQ24AAAAAAAAAAAAAAABEJMAGQ=="},
    {{"2", "--proxy-family", "AF_UNSPEC", "--proxy-protocol", "UNSPEC"},
     "",
     "",
     "DQoNCgANClFVSVQKIQAADMsAcQfGM2QBEJMAGQ=="},
};

/// whoami greets nobody as a mail server would, so swaks gives up after its time-out.
std::vector<std::string> command_of(const std::string& server, std::vector<std::string> more)
{
    const bool is_ipv6 = more.at(2).ends_with('6');
    const std::string port = more.at(0) == "1" ? "4242" : "4243";
    std::vector<std::string> command{find_program("swaks", "swaks"),
                                     "--server",
                                     server,
                                     "--helo",
                                     "client.example",
                                     "--from",
                                     "a@example",
                                     "--to",
                                     "b@example",
                                     "--timeout",
                                     "1s",
                                     "--proxy-version"};
    command.insert(command.end(), more.begin(), more.end());
    command.insert(command.end(),
                   {"--proxy-source", is_ipv6 ? "2001:db8::7" : "203.0.113.7",
                    "--proxy-source-port", port, "--proxy-dest",
                    is_ipv6 ? "2001:db8::1" : "198.51.100.1", "--proxy-dest-port", "25"});
    return command;
}

std::string transcript(const process& mailing)
{
    return mailing.output_text() + mailing.errors_text();
}

}  // namespace

TEST_CASE("the header of swaks names whom it is told to", "[interop][swaks]")
{
    whoami_server server{trusting()};
    std::list<process> mailing;  // all at once: each waits for its time-out
    for (const mail_client& one : served)
        mailing.emplace_back(command_of(server.address(), one.words));
    auto running = mailing.begin();
    for (const mail_client& one : served) {
        process& swaks = *running++;
        CAPTURE(one.sent);
        CHECK(swaks.wait_for_exit().has_value());
        INFO(transcript(swaks));
        CHECK(swaks.wait_for_output(holds({one.sent})).has_value());
        const bool is_itself = std::string{one.client}.empty();
        const auto line = server.program().wait_for_error(holds({
            R"("event":"access")",
            is_itself ? R"("origin":"unknown")" : one.client,
        }));
        REQUIRE(line);
        const json told = json::parse(*line);
        CHECK(told.at("client") == (is_itself ? told.at("peer") : json(one.client)));
        CHECK(told.at("server") == (is_itself ? told.at("local") : json(one.server)));
        CHECK(told.at("origin") == (is_itself ? "unknown" : "proxied"));
    }
    CHECK(server.count_of("access") == std::size(served));
    CHECK(server.count_of("refused") == 0);
}

TEST_CASE("the malformed headers of swaks are refused as malformed", "[interop][swaks]")
{
    whoami_server server{trusting({"--header-time-max", "60s"})};
    // LOCAL is written as command 2 of a header that ends after 15 bytes.
    process local{command_of(server.address(),
                             {"2", "--proxy-family", "AF_INET", "--proxy-command", "LOCAL"})};
    // UNIX names are not padded to their 108 bytes.
    process unix_names{command_of(server.address(), {"2", "--proxy-family", "AF_UNIX"})};
    // Two words are missing.
    process short_line{{find_program("swaks", "swaks"), "--server", server.address(), "--to",
                        "b@example", "--timeout", "1s", "--proxy", "TCP4 203.0.113.7"}};
    for (process* swaks : {&local, &unix_names, &short_line}) {
        INFO(transcript(*swaks));
        CHECK(swaks->wait_for_exit().value_or(0) != 0);
    }
    for (const char* why : {"v2_command at byte 12", "v2_short_address_block", "v1_"}) {
        CAPTURE(why, server.program().errors_text());
        CHECK(server.program().wait_for_error(
            holds({R"("event":"refused")", R"("reason":"malformed")", why})));
    }
    CHECK(server.count_of("refused") == 3);
    CHECK(server.count_of("access") == 0);
    CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
}

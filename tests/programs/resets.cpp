#include "programs/whoami_server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <csignal>

using namespace support;
using nlohmann::json;

namespace {

constexpr int rounds = 50;

/// Resets at each phase of a connection in turn.
void reset_everywhere(const std::string& address, client_options options = {})
{
    client before_a_byte{address, options};
    before_a_byte.reset();
    client in_the_header{address, options};
    in_the_header.send(good_header.substr(0, 20));
    in_the_header.reset();
    client after_the_header{address, options};
    after_the_header.send(good_header);
    after_the_header.reset();
    client after_the_answer{address, options};
    after_the_answer.send(good_header);
    after_the_answer.read_line();
    after_the_answer.reset();
    options.receive_buffer_size = options.send_buffer_size = 4096;
    client while_it_writes{address, options};
    while_it_writes.send(good_header_v2);
    while_it_writes.send_until_full(std::size_t{512} << 10);
    while_it_writes.wait_readable(step_time_max);
    while_it_writes.reset();
    client with_unread_bytes{address, options};
    with_unread_bytes.send(std::string{good_header_v2} + "unread");
    with_unread_bytes.close();
}

}  // namespace

TEST_CASE("a reset at any phase disturbs nobody else and is no failure", "[resets]")
{
    whoami_server server{trusting()};
    client bystander{server.address()};
    bystander.send(good_header);
    bystander.read_line();
    for (int i = 0; i < rounds; ++i) {
        reset_everywhere(server.address());
        bystander.send("here");
        REQUIRE(bystander.read_exactly(4) == "here");
    }
    CHECK(fault_of_a_good_answer(server.address(), milliseconds{1'000}) == "");
    server.program().signal(SIGTERM);
    bystander.finish();
    CHECK(server.program().wait_for_exit() == 0);
    CHECK(server.count_of("session_failed") == 0);
    CHECK(server.count_of("accept_failed") == 0);
}

TEST_CASE("a reset before the first byte is not logged", "[resets]")
{
    whoami_server server{trusting()};
    for (int i = 0; i < rounds; ++i) {
        client check{server.address()};
        if (i % 2 == 0)
            check.reset();
    }
    CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
    server.program().signal(SIGTERM);
    CHECK(server.program().wait_for_exit() == 0);
    CHECK(server.count_of("access") == 1);
    CHECK(server.program().error_lines().size() == 1);
}

TEST_CASE("no connection leaves a descriptor behind", "[resets]")
{
    whoami_server server{{"--trust", "127.0.0.1", "--header-time-max", "200ms"}};
    CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
    client late{server.address()};
    CHECK(late.read_to_end().refused());
    const std::size_t before = server.program().open_descriptors();
    for (int i = 0; i < rounds; ++i) {
        CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
        reset_everywhere(server.address());
        client untrusted{server.address(), {.source = "127.0.0.2"}};
        CHECK(untrusted.read_to_end().refused());
        client malformed{server.address()};
        malformed.send("GET / HTTP/1.0\r\n\r\n");
        CHECK(malformed.read_to_end().refused());
        client truncated{server.address()};
        truncated.send("PROXY");
        truncated.finish();
        CHECK(truncated.read_to_end().refused());
    }
    std::vector<client> silent;
    silent.reserve(rounds);
    for (int i = 0; i < rounds; ++i)
        silent.emplace_back(server.address());
    for (client& one : silent)
        CHECK(one.read_to_end().refused());
    CHECK(server.program().wait_for_descriptors(before) == before);
}

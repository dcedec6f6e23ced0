#include "programs/whoami_server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <poll.h>

using namespace support;
using steady = std::chrono::steady_clock;

namespace {

constexpr std::size_t beginners = 5'000;      // sent one byte of a header
constexpr std::size_t never_readers = 2'000;  // were served, and do not read what is echoed
constexpr std::size_t flood_size_max = std::size_t{256} << 10;
// The server works on hundreds of megabytes then, on a machine that may be busy otherwise.
constexpr milliseconds answer_time_in_flood_max{3'000};
constexpr milliseconds answer_time_max{500};

/// Connects from one of some source addresses, so that no range of ports runs out.
client connect_as(std::size_t number, const std::string& address, client_options options = {})
{
    options.source = "127.0.1." + std::to_string(1 + number % 50);
    return client{address, options};
}

std::vector<client> connect_beginners(const std::string& address, const char* first_byte)
{
    std::vector<client> many;
    many.reserve(beginners);
    for (std::size_t i = 0; i < beginners; ++i) {
        many.push_back(connect_as(i, address));
        many.back().send(first_byte);
    }
    return many;
}

std::size_t count_ended(const std::vector<client>& clients, milliseconds time_max)
{
    const auto until = steady::now() + time_max;
    std::size_t ended = 0;
    for (const client& one : clients) {
        const auto left = std::chrono::ceil<milliseconds>(until - steady::now()).count();
        pollfd on{one.descriptor(), POLLIN, 0};
        if (::poll(&on, 1, static_cast<int>(std::max(left, 0L))) == 1)
            ++ended;
    }
    return ended;
}

}  // namespace

TEST_CASE("thousands of silent and stuck clients do not slow a good one down", "[storm]")
{
    raise_descriptor_limit();
    whoami_server server{
        {"--trust", "127.0.0.0/8", "--header-time-max", "60s", "--access-log", "off"}};
    const std::vector<client> begun = connect_beginners(server.address(), "P");
    std::vector<client> stuck;
    stuck.reserve(never_readers);
    std::size_t filled = 0;
    for (std::size_t i = 0; i < never_readers; ++i) {
        // Small buffers on this side, so that little memory is enough to block the server's.
        stuck.push_back(connect_as(i, server.address(),
                                   {.receive_buffer_size = 4096, .send_buffer_size = 4096}));
        stuck.back().send(good_header_v2);
        stuck.back().send_until_full(flood_size_max);
        // Behind floods that are still being read, too, though it takes its turn.
        if (i % 200 == 0)
            CHECK(fault_of_a_good_answer(server.address(), answer_time_in_flood_max) == "");
    }
    CHECK(fault_of_a_good_answer(server.address(), answer_time_in_flood_max) == "");
    for (client& one : stuck)
        filled += one.send_until_full(flood_size_max) < flood_size_max ? 1u : 0u;
    CHECK(filled == never_readers);
    // Gigabytes wait in the kernel's buffers now; short of memory for them it drops a packet here
    // and there, which comes again after a fifth of a second or a whole one.
    int in_time = 0;
    for (int i = 0; i < 20; ++i) {
        const auto start = steady::now();
        CHECK(fault_of_a_good_answer(server.address(), answer_time_in_flood_max) == "");
        in_time += steady::now() - start <= answer_time_max;
    }
    CHECK(in_time >= 17);
    CHECK(count_ended(begun, milliseconds{0}) == 0);
    CHECK(server.program().error_lines().empty());
}

TEST_CASE("thousands of silent clients are gone soon after their deadline", "[storm]")
{
    raise_descriptor_limit();
    whoami_server server{
        {"--trust", "127.0.0.0/8", "--header-time-max", "2s", "--access-log", "off"}};
    const std::vector<client> silent = connect_beginners(server.address(), "");
    CHECK(fault_of_a_good_answer(server.address(), answer_time_max) == "");
    CHECK(count_ended(silent, milliseconds{3'000}) == beginners);
    CHECK(fault_of_a_good_answer(server.address(), answer_time_max) == "");
}

TEST_CASE("a server without descriptors says so and goes on when there are some", "[storm]")
{
    constexpr std::size_t more_than_it_has = 60;
    whoami_server server{{"--trust", "127.0.0.0/8", "--header-time-max", "60s"},
                         {.descriptors_max = 40}};
    std::vector<client> silent;
    silent.reserve(more_than_it_has);
    for (std::size_t i = 0; i < more_than_it_has; ++i)
        silent.push_back(connect_as(i, server.address()));
    CHECK(server.program()
              .wait_for_error(holds({R"("event":"accept_failed")", server.address()}))
              .has_value());
    client waiting{server.address()};
    waiting.send(good_header);
    CHECK_FALSE(waiting.wait_readable(milliseconds{300}));
    silent.clear();
    CHECK(waiting.read_line(milliseconds{2'000}).find(good_client) != std::string::npos);
    CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
    CHECK(server.count_of("accept_failed") < 20);  // it pauses after each
}

#include "programs/metrics.hpp"
#include "support/test_driver.hpp"

#include <whence/base/sanitizer.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sys/resource.h>

#include <fstream>

using namespace support;

namespace {

constexpr std::size_t crowd = 10'000;
constexpr int cycles = 4;
constexpr long bytes_each_max = 1'200;
constexpr long bytes_each_of_asio = 250;  // what Asio keeps for each descriptor; 190 with g++ 12
// What cycles may differ in: the buffers of logs and heaps find their size. A leak of 53 bytes for
// each connection is more.
constexpr long growth_max = 1L << 20;
constexpr int pool_touches = 2'048;  // more than the pool has buffers

#if defined(__SANITIZE_THREAD__)
constexpr bool memory_is_as_usual = false;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr bool memory_is_as_usual = false;
#else
constexpr bool memory_is_as_usual = !whence::address_sanitizer;
#endif
#else
constexpr bool memory_is_as_usual = !whence::address_sanitizer;
#endif

void need_descriptors(std::size_t count)
{
    raise_descriptor_limit();
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < count)
        FAIL("this needs " << count << " descriptors a process; the hard limit (ulimit -Hn) is "
                           << limit.rlim_cur);
}

/// The memory of a process that no file backs, in bytes.
long anonymous_memory(const process& of)
{
    std::ifstream rollup{"/proc/" + std::to_string(of.pid()) + "/smaps_rollup"};
    for (std::string word; rollup >> word;) {
        if (word == "Anonymous:") {
            long kibibytes = 0;
            rollup >> kibibytes;
            return kibibytes << 10;
        }
    }
    FAIL("no smaps_rollup of process " << of.pid());
    return 0;
}

/// Opens a session for each of many clients, from as many peers as that takes ports.
std::vector<client> connect_crowd(const std::string& address)
{
    std::vector<client> many;
    many.reserve(crowd);
    for (std::size_t i = 0; i < crowd; ++i) {
        many.emplace_back(address,
                          client_options{.source = "127.0.1." + std::to_string(1 + i % 8)});
        many.back().send(header_of(client_name(i)) + "hello\n");
    }
    for (client& one : many) {
        if (one.read_line() != "hello")
            FAIL("a connection without an answer");
    }
    return many;
}

}  // namespace

TEST_CASE("10,000 idle connections take little memory, and leave none taken", "[many]")
{
    need_descriptors(crowd + 1'000);
    const bool on_asio = test_driver() == whence::driver_choice::asio;
    const long bytes_max = bytes_each_max + (on_asio ? bytes_each_of_asio : 0);
    for (const char* threads : {"1", "2"}) {
        CAPTURE(threads);
        // A time limit costs some more (240 bytes); the bound is for these layers.
        whoami_server server{{"--trust", "127.0.0.0/8", "--threads", threads,
                              "--client-connections-max", "7", "--write-time-max", "off",
                              "--metrics", "127.0.0.1:0"},
                             {},
                             WHENCE_ECHO};
        REQUIRE(status_address(server) != "");  // so all of its own are open
        const std::size_t descriptors = server.program().open_descriptors();
        for (int runtime = 0; runtime < 2; ++runtime) {
            client first{server.address()};
            first.send(good_header);
            for (int i = 0; i < pool_touches; ++i)
                REQUIRE(fault_of_an_echo(first) == "");
        }
        REQUIRE(wait_for_metric(server, "whence_sessions_open", 0) == 0);
        const long frames = metrics{server}.value("whence_frames");
        const long empty = anonymous_memory(server.program());
        long warm = 0;
        for (int cycle = 1; cycle <= cycles; ++cycle) {
            CAPTURE(cycle);
            std::vector<client> idle = connect_crowd(server.address());
            REQUIRE(wait_for_metric(server, "whence_sessions_open", crowd) == crowd);
            CHECK(metrics{server}.value("whence_frames") > frames + static_cast<long>(crowd));
            CHECK(server.program().wait_for_descriptors(descriptors + crowd) ==
                  descriptors + crowd);
            if (memory_is_as_usual) {
                const long full = anonymous_memory(server.program());
                CHECK((full - empty) / static_cast<long>(crowd) <= bytes_max);
                if (cycle == 2)
                    warm = full;
                if (cycle > 2)
                    CHECK(full - warm <= growth_max);
            }
            idle.clear();
            CHECK(wait_for_metric(server, "whence_sessions_open", 0) == 0);
            CHECK(wait_for_metric(server, "whence_frames", frames) == frames);
            CHECK(server.program().wait_for_descriptors(descriptors) == descriptors);
        }
        CHECK(metrics{server}.value("whence_connections_refused_total") == 0);
    }
}

#include <whence/net/listener_socket.hpp>

#include "support/run_here.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/net/listener.hpp>
#include <whence/net/socket_setup.hpp>

#include <catch2/catch_test_macros.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <string>

using namespace whence;
using internal::option_of;
using support::run_here;

namespace {

struct expected_option {
    int level;
    int name;
    int value;
};

/// Checks options on a socket that a listener with these options has accepted.
void check_accepted(const char* address, const listen_options& options,
                    std::vector<expected_option> expected)
{
    run_here([&]() -> task<> {
        listener at = listener::bind(address, options);
        connection client = co_await connect(at.local());
        co_await client.write("for those that wait for the client to speak");
        const connection server = co_await at.accept();
        for (const expected_option& each : expected) {
            CAPTURE(address, each.level, each.name);
            CHECK(option_of(server.native_handle(), each.level, each.name) == each.value);
        }
    });
}

std::string refusal_of(const listen_options& options)
{
    try {
        const listener bound = listener::bind("127.0.0.1:0", options);
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::invalid_argument);
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("accepted connections have the TCP options of their listener", "[listen_options][kernel]")
{
    for (const char* address : {"127.0.0.1:0", "[::1]:0"}) {
        check_accepted(address,
                       {.no_delay = false,
                        .keep_alive = {.idle = 41s, .interval = 7s, .count = 3},
                        .user_timeout = 12'345ms,
                        .defer_accept = 3s,
                        .fast_open = 16,
                        .receive_buffer = 65'536,
                        .send_buffer = 131'072},
                       {{IPPROTO_TCP, TCP_NODELAY, 0},
                        {SOL_SOCKET, SO_KEEPALIVE, 1},
                        {IPPROTO_TCP, TCP_KEEPIDLE, 41},
                        {IPPROTO_TCP, TCP_KEEPINTVL, 7},
                        {IPPROTO_TCP, TCP_KEEPCNT, 3},
                        {IPPROTO_TCP, TCP_USER_TIMEOUT, 12'345},
                        {SOL_SOCKET, SO_RCVBUF, 2 * 65'536},
                        {SOL_SOCKET, SO_SNDBUF, 2 * 131'072}});
    }
}

TEST_CASE("connections are probed unless a listener says otherwise", "[listen_options]")
{
    check_accepted("127.0.0.1:0", {},
                   {{IPPROTO_TCP, TCP_NODELAY, 1},
                    {SOL_SOCKET, SO_KEEPALIVE, 1},
                    {IPPROTO_TCP, TCP_KEEPIDLE, 60},
                    {IPPROTO_TCP, TCP_KEEPINTVL, 15},
                    {IPPROTO_TCP, TCP_KEEPCNT, 4},
                    {IPPROTO_TCP, TCP_USER_TIMEOUT, 0}});
    check_accepted("127.0.0.1:0", {.keep_alive = {.idle = 0s}}, {{SOL_SOCKET, SO_KEEPALIVE, 0}});
}

TEST_CASE("times that the kernel counts in larger units are rounded up", "[listen_options]")
{
    check_accepted("127.0.0.1:0",
                   {.keep_alive = {.idle = 1ns, .interval = 1001ms}, .user_timeout = 1ns},
                   {{SOL_SOCKET, SO_KEEPALIVE, 1},
                    {IPPROTO_TCP, TCP_KEEPIDLE, 1},
                    {IPPROTO_TCP, TCP_KEEPINTVL, 2},
                    {IPPROTO_TCP, TCP_USER_TIMEOUT, 1}});
}

TEST_CASE("options of the listening socket itself are set", "[listen_options]")
{
    const listener at = listener::bind(
        "127.0.0.1:0", {.backlog = 7, .reuse_port = true, .defer_accept = 3s, .fast_open = 16});
    CHECK(option_of(at.native_handle(), SOL_SOCKET, SO_REUSEPORT) == 1);
    CHECK(option_of(at.native_handle(), IPPROTO_TCP, TCP_FASTOPEN) == 16);
    CHECK(option_of(at.native_handle(), IPPROTO_TCP, TCP_DEFER_ACCEPT) == 3);
    tcp_info info{};
    socklen_t size = sizeof info;
    REQUIRE(getsockopt(at.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
    CHECK(info.tcpi_sacked == 7);  // of a listening socket: its backlog
    const listener plain = listener::bind("127.0.0.1:0");
    CHECK(option_of(plain.native_handle(), SOL_SOCKET, SO_REUSEPORT) == 0);
    CHECK(option_of(plain.native_handle(), IPPROTO_TCP, TCP_DEFER_ACCEPT) == 0);
}

TEST_CASE("a deferred accept waits until the client speaks", "[listen_options][kernel]")
{
    run_here([]() -> task<> {
        listener at = listener::bind("127.0.0.1:0", {.defer_accept = 30s});
        connection client = co_await connect(at.local());
        {
            deadline limit{20ms};
            auto accepting = as_result(at.accept());
            const result<connection> none = co_await accepting;
            CHECK_FALSE(none.has_value());
        }
        co_await client.write("x");
        const connection server = co_await at.accept();
        CHECK(server.peer() == client.local());
    });
}

TEST_CASE("an option that the kernel refuses is named", "[listen_options]")
{
    CHECK(refusal_of({.keep_alive = {.idle = 32'768s}}) ==
          "keep_alive.idle on 127.0.0.1:0: Invalid argument");
    CHECK(refusal_of({.keep_alive = {.idle = nanoseconds::max()}}) ==
          "keep_alive.idle on 127.0.0.1:0: Invalid argument");
    CHECK(refusal_of({.keep_alive = {.interval = 0s}}) ==
          "keep_alive.interval on 127.0.0.1:0: Invalid argument");
    CHECK(refusal_of({.keep_alive = {.count = 128}}) ==
          "keep_alive.count on 127.0.0.1:0: Invalid argument");
}

#include <whence/net/listener.hpp>

#include "support/process.hpp"
#include "support/run_here.hpp"

#include <whence/address/socket_address.hpp>
#include <whence/coro/deadline.hpp>
#include <whence/coro/scope.hpp>
#include <whence/coro/yield.hpp>
#include <whence/net/socket_setup.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>
#include <stdexcept>
#include <string>

using namespace whence;
using support::run_here;

namespace {

std::optional<int> option(const listener& of, int level, int name)
{
    return internal::option_of(of.native_handle(), level, name);
}

/// Takes a connection that is there already; false: there is none.
task<bool> accepts_soon(listener& from)
{
    deadline limit{2ms};
    auto accepting = as_result(from.accept());
    const result<connection> accepted = co_await accepting;
    co_return accepted.has_value();
}

/// Connects without the runtime: all have arrived when it returns.
std::vector<socket_handle> connect_many(const endpoint& to, std::size_t count)
{
    const internal::socket_address at = internal::to_socket_address(to);
    std::vector<socket_handle> all;
    for (std::size_t i = 0; i < count; ++i) {
        all.push_back(open_stream_socket(to));
        REQUIRE(::connect(all.back().get(), at.get(), at.size) == 0);
    }
    return all;
}

}  // namespace

TEST_CASE("a bound listener knows its real port", "[net]")
{
    const listener one = listener::bind("127.0.0.1:0");
    CHECK(one.local().port() != 0);
    const listener other = listener::bind("[::1]:0");
    CHECK(to_string(other.local()).starts_with("[::1]:"));
}

TEST_CASE("a listener that cannot be bound says where and why", "[net]")
{
    const listener first = listener::bind("127.0.0.1:0");
    try {
        const listener second = listener::bind(first.local());
        FAIL("bound twice");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::address_in_use);
        CHECK(std::string{error.what()} ==
              "bind " + to_string(first.local()) + ": Address already in use");
    }
    CHECK_THROWS_AS(listener::bind("nonsense"), std::invalid_argument);
}

TEST_CASE("a dual-stack listener sees IPv4 peers as IPv4", "[net]")
{
    run_here([]() -> task<> {
        listener at = listener::bind("[::]:0");
        connection client =
            co_await connect(endpoint{ip_address::v4(127, 0, 0, 1), at.local().port()});
        const connection server = co_await at.accept();
        CHECK(to_string(server.peer()).starts_with("127.0.0.1:"));
        CHECK(server.peer() == client.local());
        CHECK(to_string(server.local()) == "127.0.0.1:" + std::to_string(at.local().port()));
        connection over_v6 =
            co_await connect(endpoint{*ip_address::parse("::1"), at.local().port()});
        const connection server_v6 = co_await at.accept();
        CHECK(to_string(server_v6.peer()).starts_with("[::1]:"));
    });
}

TEST_CASE("both ends of a connection send small messages at once", "[net][kernel]")
{
    run_here([]() -> task<> {
        const support::connected_pair pair = co_await support::connect_pair();
        for (const int fd : {pair.client.native_handle(), pair.server.native_handle()}) {
            int no_delay = 0;
            socklen_t size = sizeof no_delay;
            CHECK(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size) == 0);
            CHECK(no_delay != 0);
        }
    });
}

TEST_CASE("an IPv6-only listener does not answer to IPv4", "[net]")
{
    run_here([]() -> task<> {
        listener at = listener::bind("[::]:0", {.v6_only = true});
        std::error_code refused;
        try {
            co_await connect(endpoint{ip_address::v4(127, 0, 0, 1), at.local().port()});
        } catch (const std::system_error& error) {
            refused = error.code();
        }
        CHECK(refused == std::errc::connection_refused);
    });
}

TEST_CASE("a UNIX listener accepts, and the peer has no name", "[net]")
{
    run_here([]() -> task<> {
        listener at = listener::bind("unix:@whence-test-" + std::to_string(getpid()));
        connection client = co_await connect(at.local());
        connection server = co_await at.accept();
        CHECK(server.peer().kind() == endpoint_kind::unix_unnamed);
        CHECK(server.local() == at.local());
        co_await client.write("over unix");
        const chunk got = co_await server.receive();
        CHECK(got.text() == "over unix");
    });
}

TEST_CASE("accept can be cancelled and used again", "[net]")
{
    run_here([]() -> task<> {
        listener at = listener::bind("127.0.0.1:0");
        for (int i = 0; i < 3; ++i) {
            deadline limit{5ms};
            auto accepting = as_result(at.accept());
            const result<connection> none = co_await accepting;
            CHECK_FALSE(none.has_value());
        }
        connection client = co_await connect(at.local());
        const connection server = co_await at.accept();
        CHECK(server.peer() == client.local());
    });
}

TEST_CASE("connections that arrive between accepts are kept, and closed with the listener", "[net]")
{
    run_here([]() -> task<> {
        std::deque<connection> clients;
        {
            listener at = listener::bind("127.0.0.1:0");
            clients.push_back(co_await connect(at.local()));
            const connection first = co_await at.accept();
            for (int i = 0; i < 20; ++i)
                clients.push_back(co_await connect(at.local()));
            co_await support::settle();
            for (int i = 0; i < 10; ++i) {
                const connection next = co_await at.accept();
                CHECK(next.peer() == clients[static_cast<std::size_t>(i) + 1].local());
            }
        }
        // The other ten were never taken: their clients see an end, not silence.
        for (std::size_t i = 11; i < clients.size(); ++i) {
            auto receiving = as_result(clients[i].receive());
            const result<chunk> end = co_await receiving;
            const bool over = !end || !*end;
            CHECK(over);
        }
    });
}

TEST_CASE("a closed listener's port is free at once", "[net]")
{
    run_here([]() -> task<> {
        endpoint address;
        {
            listener at = listener::bind("127.0.0.1:0");
            address = at.local();
            connection client = co_await connect(address);
            const connection server = co_await at.accept();
        }
        co_await support::settle();
        const listener again = listener::bind(address);
        CHECK(again.local() == address);
    });
}

TEST_CASE("when descriptors run out accept says so, and goes on once some are free",
          "[net][kernel]")
{
    run_here([]() -> task<> {
        listener at = listener::bind("127.0.0.1:0");
        const connection client = co_await connect(at.local());
        rlimit before{};
        getrlimit(RLIMIT_NOFILE, &before);
        const rlimit tight{.rlim_cur = static_cast<rlim_t>(client.native_handle() + 1),
                           .rlim_max = before.rlim_max};
        setrlimit(RLIMIT_NOFILE, &tight);
        auto accepting = as_result(at.accept());
        const result<connection> none = co_await accepting;
        setrlimit(RLIMIT_NOFILE, &before);
        REQUIRE_FALSE(none.has_value());
        CHECK(none.error() == std::errc::too_many_files_open);
        const connection server = co_await at.accept();
        CHECK(server.peer() == client.local());
    });
}

TEST_CASE("a listener outlives its runtime, and accepts in the next one", "[net][kernel]")
{
    listener at = listener::bind("127.0.0.1:0");
    for (int i = 0; i < 2; ++i) {
        runtime here{support::open_test_driver()};
        const support::watchdog bounded{here};
        here.run([](listener& from) -> task<> {
            const connection client = co_await connect(from.local());
            const connection server = co_await from.accept();
            CHECK(server.peer() == client.local());
        }(at));
    }
}

TEST_CASE("accepting survives a fault at every operation", "[net]")
{
    support::run_with_every_fault([]() -> task<> {
        listener at = listener::bind("127.0.0.1:0");
        connection client = co_await connect(at.local());
        deadline limit{2s};
        connection server = co_await at.accept();
        co_await client.write("x");
        const chunk got = co_await server.receive();
        CHECK(got.size() <= 1);
    });
}

TEST_CASE("listeners that share a port each accept connections", "[net]")
{
    run_here([]() -> task<> {
        for (const char* address : {"127.0.0.1:0", "[::]:0"}) {
            listener first = listener::bind(address, {.reuse_port = true});
            listener second = first.clone();
            CHECK(second.local() == first.local());
            CHECK(second.native_handle() != first.native_handle());
            // The kernel's hash decides who gets which: both get some of enough.
            std::vector<connection> clients;
            int of_first = 0;
            int of_second = 0;
            while (of_first == 0 || of_second == 0) {
                REQUIRE(clients.size() < 200);
                clients.push_back(
                    co_await connect(endpoint{ip_address::v4(127, 0, 0, 1), first.local().port()}));
                const bool by_first = co_await accepts_soon(first);
                const bool by_second = co_await accepts_soon(second);
                of_first += by_first ? 1 : 0;
                of_second += by_second ? 1 : 0;
            }
        }
    });
}

TEST_CASE("a clone has the options of its original", "[net]")
{
    const listener first = listener::bind(
        "[::]:0",
        {.reuse_port = true, .v6_only = true, .no_delay = false, .keep_alive = {.idle = 33s}});
    for (const listener& second : {first.clone().clone()}) {
        CHECK(option(second, IPPROTO_TCP, TCP_NODELAY) == 0);
        CHECK(option(second, IPPROTO_TCP, TCP_KEEPIDLE) == 33);
        CHECK(option(second, IPPROTO_IPV6, IPV6_V6ONLY) == 1);
        CHECK(option(second, SOL_SOCKET, SO_REUSEPORT) == 1);
    }
}

TEST_CASE("a listener that shares its address with nobody has no clone", "[net]")
{
    const auto refusal_of_clone = [](const listener& original) -> std::string {
        try {
            const listener second = original.clone();
        } catch (const std::system_error& error) {
            return error.what();
        }
        return "";
    };
    const listener alone = listener::bind("127.0.0.1:0");
    CHECK(refusal_of_clone(alone) == "clone the listener at " + to_string(alone.local()) +
                                         ": it was opened without reuse_port: Address already in "
                                         "use");
    const std::string name = "unix:@whence-clone-" + std::to_string(getpid());
    CHECK(refusal_of_clone(listener::bind(name, {.reuse_port = true})) ==
          "clone the listener at " + name +
              ": only TCP ports can be shared: Operation not supported");
}

TEST_CASE("a listening descriptor that somebody else opened is adopted", "[net][kernel]")
{
    run_here([]() -> task<> {
        const std::string name = "unix:@whence-adopt-" + std::to_string(getpid());
        const std::string addresses[]{"127.0.0.1:0", "[::]:0", name};
        for (const std::string& address : addresses) {
            endpoint local;
            int fd = -1;
            {
                const listener opener =
                    listener::bind(address, {.reuse_port = true, .v6_only = true});
                fd = dup(opener.native_handle());  // without close-on-exec
                local = opener.local();
            }
            REQUIRE(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);  // as systemd's NonBlocking=yes does
            listener at = listener::adopt(fd, {.no_delay = false, .keep_alive = {.idle = 33s}});
            CHECK(at.local() == local);
            CHECK(at.native_handle() == fd);
            CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
            // Nothing is there yet: it has to wait.
            auto accepting = as_result(at.accept());
            scope clients;
            clients.spawn([](endpoint to) -> task<> { co_await connect(to); }(local));
            const result<connection> accepted = co_await accepting;
            CHECK(accepted.has_value());
            co_await clients.join();
            if (local.is_ip()) {
                CHECK(option(at, IPPROTO_TCP, TCP_NODELAY) == 0);
                CHECK(option(at, IPPROTO_TCP, TCP_KEEPIDLE) == 33);
                const listener second = at.clone();
                CHECK(second.local() == local);
                CHECK(option(second, IPPROTO_IPV6, IPV6_V6ONLY) ==
                      option(at, IPPROTO_IPV6, IPV6_V6ONLY));
            }
        }
    });
}

TEST_CASE("what is no listening stream socket is not adopted, and says why", "[net]")
{
    struct row {
        int fd;
        std::errc code;
        const char* why;
    };
    int pipe_ends[2] = {-1, -1};
    REQUIRE(pipe2(pipe_ends, O_CLOEXEC) == 0);
    const row rows[]{
        {dup(pipe_ends[0]), std::errc::not_a_socket, "it is no socket"},
        {socket(AF_INET, SOCK_DGRAM, 0), std::errc::wrong_protocol_type, "it is no stream socket"},
        {socket(AF_UNIX, SOCK_SEQPACKET, 0), std::errc::wrong_protocol_type,
         "it is no stream socket"},
        {socket(AF_INET, SOCK_STREAM, 0), std::errc::invalid_argument, "it does not listen"},
        {socket(AF_VSOCK, SOCK_STREAM, 0), std::errc::protocol_not_supported,
         "it is neither TCP nor UNIX"},
    };
    for (const row& each : rows) {
        CAPTURE(each.why);
        REQUIRE(each.fd >= 0);
        try {
            listener::adopt(each.fd);
            FAIL("adopted");
        } catch (const std::system_error& error) {
            CHECK(error.code() == each.code);
            CHECK(std::string{error.what()}.starts_with(
                "adopt descriptor " + std::to_string(each.fd) + ": " + each.why + ": "));
        }
        CHECK(close(each.fd) == 0);  // still ours
    }
    try {
        listener::adopt(pipe_ends[0] + 100'000);
        FAIL("adopted");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::bad_file_descriptor);
    }
    for (const int end : pipe_ends)
        close(end);
}

TEST_CASE("connections that nobody takes stay with the kernel beyond a number", "[net][kernel]")
{
    run_here([]() -> task<> {
        constexpr std::size_t count = 1'000;
        support::raise_descriptor_limit();
        listener at = listener::bind("127.0.0.1:0");
        std::deque<connection> clients;
        clients.push_back(co_await connect(at.local()));
        {
            const connection first = co_await at.accept();  // from now on it goes on by itself
        }
        co_await support::settle();
        const std::size_t before = support::open_descriptors();
        for (std::size_t i = 0; i < count; ++i)
            clients.push_back(co_await connect(at.local()));
        co_await support::settle();
        const std::size_t taken = support::open_descriptors() - before - count;
        CHECK(taken >= 256);
        CHECK(taken < 300);
        for (std::size_t i = 1; i <= count; ++i) {
            const connection next = co_await at.accept();
            REQUIRE(next.peer() == clients[i].local());
        }
    });
}

TEST_CASE("an accept that meets the end of the accepting starts it anew", "[net][kernel]")
{
    run_here([]() -> task<> {
        listener at = listener::bind("127.0.0.1:0");
        support::raise_descriptor_limit();
        std::deque<connection> clients;
        clients.push_back(co_await connect(at.local()));
        const connection first = co_await at.accept();
        // One burst: opened beside the runtime, so that all of it is there in one turn. Taken at
        // once, the cancellation is still under way when the last accept() waits.
        std::vector<socket_handle> burst = connect_many(at.local(), 400);
        for (std::size_t i = 0; i < burst.size(); ++i) {
            const connection next = co_await at.accept();
            REQUIRE(next.peer() == local_of(burst[i].get()));
        }
        scope later;
        later.spawn([](endpoint to) -> task<> {
            co_await support::settle();
            co_await connect(to);
        }(at.local()));
        deadline limit{10s};
        const connection last = co_await at.accept();
        co_await later.join();
    });
}

#include "programs/whoami_server.hpp"
#include "support/test_driver.hpp"

#include <catch2/catch_test_macros.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

using namespace support;
using steady = std::chrono::steady_clock;

namespace {

/// Plays systemd, at a path in a folder of its own.
class manager {
public:
    manager() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        std::memcpy(at.sun_path, path_.c_str(), path_.size() + 1);
        REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    }
    ~manager() { ::close(fd_); }
    manager(const manager&) = delete;
    manager& operator=(const manager&) = delete;

    std::string variable() const { return "NOTIFY_SOCKET=" + path_; }

    /// Waits for a message; "nothing": none came.
    std::string next(milliseconds time_max = step_time_max) const
    {
        pollfd on{fd_, POLLIN, 0};
        if (::poll(&on, 1, static_cast<int>(time_max.count())) != 1)
            return "nothing";
        char bytes[4096];
        const ssize_t got = ::recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
        return got < 0 ? "nothing" : std::string(bytes, static_cast<std::size_t>(got));
    }

private:
    temporary_directory folder_;
    std::string path_ = folder_ / "notify";
    int fd_;
};

/// The clock that the service manager's protocol speaks of.
long monotonic_microseconds()
{
    timespec at{};
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1'000'000 + at.tv_nsec / 1'000;
}

}  // namespace

TEST_CASE("a service manager hears of start, reload and stop, when they are true", "[operations]")
{
    const temporary_directory folder;
    const std::string denied = folder.write("denied", "");
    const std::string address = "unix:" + (folder / "socket");
    const manager systemd;
    process server{on_test_driver({WHENCE_WHOAMI, "--listen", address, "--threads", "2",
                                   "--deny-file", denied, "--drain-time-max", "60s"}),
                   {.environment = {systemd.variable()}}};
    CHECK(systemd.next() == "READY=1");
    client session{address};
    CHECK(!session.read_line().empty());

    folder.write("denied", "unix:uid=" + std::to_string(::getuid()) + '\n');
    const long before = monotonic_microseconds();
    server.signal(SIGHUP);
    const std::string reloading = systemd.next();
    const std::string announced = "RELOADING=1\nMONOTONIC_USEC=";
    REQUIRE(reloading.starts_with(announced));
    const long at = std::stol(reloading.substr(announced.size()));
    CHECK(before <= at);
    CHECK(at <= monotonic_microseconds());
    CHECK(systemd.next() == "READY=1");
    client late{address};
    CHECK(late.read_to_end().refused());

    server.signal(SIGTERM);
    CHECK(systemd.next() == "STOPPING=1");
    CHECK(fault_of_an_echo(session) == "");
    session.finish();
    CHECK(server.wait_for_exit() == 0);
    CHECK(systemd.next(milliseconds{0}) == "nothing");
}

TEST_CASE("a service manager's watchdog is fed while the server is idle", "[operations]")
{
    constexpr int meals = 5;
    const manager systemd;
    whoami_server server{{}, {.environment = {systemd.variable(), "WATCHDOG_USEC=200000"}}};
    int fed = 0;
    const auto begin = steady::now();
    while (fed < meals) {
        const std::string said = systemd.next();
        REQUIRE((said == "WATCHDOG=1" || said == "READY=1"));
        fed += said == "WATCHDOG=1" ? 1 : 0;
    }
    const auto taken = steady::now() - begin;
    CHECK(taken < meals * milliseconds{200});
    CHECK(taken > meals * milliseconds{50});
}

TEST_CASE("a watchdog is not fed for another process, or without a manager", "[operations]")
{
    const manager systemd;
    whoami_server server{
        {}, {.environment = {systemd.variable(), "WATCHDOG_USEC=20000", "WATCHDOG_PID=1"}}};
    CHECK(systemd.next() == "READY=1");
    CHECK(systemd.next(milliseconds{100}) == "nothing");
    CHECK(server.program().error_lines().empty());
}

#include <whence/runtime/service_manager.hpp>

#include "support/process.hpp"
#include "support/run_here.hpp"

#include <whence/coro/deadline.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

using namespace whence;
using support::run_here;

namespace {

/// Sets variables of the environment while it lives.
class environment {
public:
    environment(std::initializer_list<std::pair<const char*, std::string>> given)
    {
        for (const auto& [name, value] : given) {
            setenv(name, value.c_str(), 1);
            names_.push_back(name);
        }
    }
    ~environment()
    {
        for (const char* name : names_)
            unsetenv(name);
    }
    environment(const environment&) = delete;
    environment& operator=(const environment&) = delete;

private:
    std::vector<const char*> names_;
};

/// Plays the service manager at a path or an @name.
class manager {
public:
    explicit manager(const std::string& address)
        : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0))
    {
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        std::memcpy(at.sun_path, address.data(), address.size());
        if (address.starts_with('@'))
            at.sun_path[0] = '\0';
        const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
        REQUIRE(bind(fd_, reinterpret_cast<const sockaddr*>(&at), size) == 0);
    }
    ~manager() { close(fd_); }
    manager(const manager&) = delete;
    manager& operator=(const manager&) = delete;

    /// Takes a message that is there; "nothing" otherwise.
    std::string next() const
    {
        char buffer[8192];
        const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
        return got < 0 ? "nothing" : std::string(buffer, static_cast<std::size_t>(got));
    }

private:
    int fd_;
};

/// Runs a coroutine in a runtime and gives the lines that it logs.
template <class Body>
std::string errors_of(Body body)
{
    int ends[2] = {-1, -1};
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const int before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    run_here(body);
    dup2(before, STDERR_FILENO);
    close(before);
    char buffer[8192];
    const ssize_t got = read(ends[0], buffer, sizeof buffer);
    close(ends[0]);
    return {buffer, static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
}

std::string own_name()
{
    return "@whence-manager-" + std::to_string(getpid());
}

}  // namespace

TEST_CASE("the service manager is told at a path and at an abstract name", "[service_manager]")
{
    const support::temporary_directory folder;
    for (const std::string& address : {folder / "notify", own_name()}) {
        const manager systemd{address};
        const environment set{{"NOTIFY_SOCKET", address}};
        notify_ready();
        CHECK(systemd.next() == "READY=1");
        notify_stopping();
        CHECK(systemd.next() == "STOPPING=1");
        CHECK_FALSE(notify_service_manager("MAINPID=1"));
        CHECK(systemd.next() == "MAINPID=1");
        CHECK(systemd.next() == "nothing");
    }
}

TEST_CASE("a status is one line of UTF-8, of a bounded size", "[service_manager]")
{
    const manager systemd{own_name()};
    const environment set{{"NOTIFY_SOCKET", own_name()}};
    notify_status("7 sessions, gr\xc3\xbc\xc3\x9f dich");
    CHECK(systemd.next() == "STATUS=7 sessions, gr\xc3\xbc\xc3\x9f dich");
    notify_status("a\nMAINPID=1\xff");
    CHECK(systemd.next() == "STATUS=a?MAINPID=1?");
    notify_status(std::string(1023, 'a') + "\xc3\xbc");
    CHECK(systemd.next() == "STATUS=" + std::string(1023, 'a'));
}

TEST_CASE("without a service manager nobody is told, and nothing fails", "[service_manager]")
{
    unsetenv("NOTIFY_SOCKET");
    CHECK_FALSE(notify_service_manager("READY=1"));
    notify_ready();
    run_here([]() -> task<> {
        const environment set{{"WATCHDOG_USEC", "1000"}};
        const reload_notice reloading;
        co_await feed_watchdog();
    });
}

TEST_CASE("a service manager that cannot be reached is an error that disturbs nothing",
          "[service_manager]")
{
    struct row {
        std::string address;
        std::errc code;
    };
    const row rows[]{
        {"/nowhere/notify", std::errc::no_such_file_or_directory},
        {"@whence-nobody", std::errc::connection_refused},
        {"notify", std::errc::address_family_not_supported},
        {"", std::errc::address_family_not_supported},
        {"vsock:2:1", std::errc::address_family_not_supported},
        {"/" + std::string(107, 'a'), std::errc::filename_too_long},
    };
    for (const row& each : rows) {
        CAPTURE(each.address);
        const environment set{{"NOTIFY_SOCKET", each.address}};
        CHECK(notify_service_manager("READY=1") == each.code);
        const std::string told = errors_of([]() -> task<> {
            notify_ready();
            co_return;
        });
        const std::string error = std::make_error_code(each.code).message();
        CHECK(told == R"({"event":"service_manager_failed","message":"READY=1","error":")" + error +
                          "\"}\n");
    }
}

TEST_CASE("a service manager whose queue is full is not waited for", "[service_manager]")
{
    const manager systemd{own_name()};
    const environment set{{"NOTIFY_SOCKET", own_name()}};
    std::error_code full;
    for (int i = 0; i < 100'000 && !full; ++i)
        full = notify_service_manager("READY=1");
    CHECK(full == std::errc::resource_unavailable_try_again);
}

TEST_CASE("a reload is told from the first notice's beginning to the last one's end",
          "[service_manager]")
{
    const manager systemd{own_name()};
    const environment set{{"NOTIFY_SOCKET", own_name()}};
    run_here([&systemd]() -> task<> {
        co_await sleep_for(1ms);
        const auto time =
            std::chrono::duration_cast<std::chrono::microseconds>(now().time_since_epoch());
        {
            const reload_notice first;
            CHECK(systemd.next() == "RELOADING=1\nMONOTONIC_USEC=" + std::to_string(time.count()));
            {
                const reload_notice second;
            }
            CHECK(systemd.next() == "nothing");
        }
        CHECK(systemd.next() == "READY=1");
        CHECK(systemd.next() == "nothing");
    });
}

TEST_CASE("the watchdog hears twice in its interval that the loop turns", "[service_manager]")
{
    const manager systemd{own_name()};
    const environment set{{"NOTIFY_SOCKET", own_name()},
                          {"WATCHDOG_USEC", "40000"},
                          {"WATCHDOG_PID", std::to_string(getpid())}};
    run_here([&systemd]() -> task<> {
        scope feeding;
        const time_point start = now();
        feeding.spawn(feed_watchdog());
        for (int heard = 0; heard < 4;) {
            co_await sleep_for(1ms);
            const std::string message = systemd.next();
            CHECK((message == "WATCHDOG=1" || message == "nothing"));
            heard += message == "WATCHDOG=1" ? 1 : 0;
        }
        CHECK(now() - start >= 60ms);  // at once, and three halves of the interval
        feeding.stop();
        co_await feeding.join();
    });
}

TEST_CASE("a watchdog of another process, or a malformed one, is not fed", "[service_manager]")
{
    const manager systemd{own_name()};
    const environment set{{"NOTIFY_SOCKET", own_name()}};
    const auto feed = [](const char* interval, const std::string& process) {
        const environment given{{"WATCHDOG_USEC", interval}, {"WATCHDOG_PID", process}};
        return errors_of([]() -> task<> { co_await feed_watchdog(); });  // ends by itself
    };
    CHECK(feed("40000", "1").empty());
    for (const char* malformed : {"", "0", "soon", "-1", "18446744073709551615"})
        CHECK(feed(malformed, std::to_string(getpid()))
                  .starts_with(R"({"event":"service_manager_failed","message":"WATCHDOG_USEC=\")" +
                               std::string{malformed}));
    CHECK(systemd.next() == "nothing");
}

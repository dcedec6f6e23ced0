#include <whence/net/activation.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>

using namespace whence;

namespace {

struct variables {
    const char* process = nullptr;  // "own": the child's
    const char* descriptors = nullptr;
    const char* names = nullptr;
};

void set_variable(const char* name, const char* value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

bool all_unset()
{
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"}) {
        if (std::getenv(name))
            return false;
    }
    return true;
}

/// Tells what a service manager's child takes, as text.
std::string what_is_taken()
{
    std::string said;
    try {
        for (const activated_listener& each : take_activated_listeners({.no_delay = false})) {
            int no_delay = -1;
            socklen_t size = sizeof no_delay;
            getsockopt(each.at.native_handle(), 6, 1, &no_delay, &size);  // TCP_NODELAY
            const bool closes = fcntl(each.at.native_handle(), F_GETFD) == FD_CLOEXEC;
            said += each.name + ' ' + std::to_string(each.at.native_handle()) + ' ' +
                    to_string(each.at.local()) + (closes && no_delay != 1 ? "" : " badly") + '\n';
        }
    } catch (const std::exception& error) {
        said += std::string{error.what()} + '\n';
    }
    return said + (all_unset() ? "" : "variables are left\n");
}

/// Runs a child that gets these descriptors from 3 on, and gives what it says.
std::string activate(const variables& given, const std::vector<int>& descriptors)
{
    int ends[2] = {-1, -1};
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const pid_t child = fork();
    if (child == 0) {
        const int out = fcntl(ends[1], F_DUPFD, 100);
        std::vector<int> high;  // out of the way of the numbers that they are to have
        for (const int fd : descriptors)
            high.push_back(fcntl(fd, F_DUPFD, 100));
        for (int fd = 3; fd < 20; ++fd)
            close(fd);
        for (std::size_t i = 0; i < high.size(); ++i)
            dup2(high[i], static_cast<int>(3 + i));
        const std::string own = std::to_string(getpid());
        const bool is_own = given.process && std::string_view{given.process} == "own";
        set_variable("LISTEN_PID", is_own ? own.c_str() : given.process);
        set_variable("LISTEN_FDS", given.descriptors);
        set_variable("LISTEN_FDNAMES", given.names);
        set_variable("LISTEN_PIDFDID", "1");
        const std::string said = what_is_taken();
        _exit(write(out, said.data(), said.size()) == static_cast<ssize_t>(said.size()) ? 0 : 1);
    }
    REQUIRE(child > 0);
    close(ends[1]);
    std::string said;
    char buffer[4096];
    for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof buffer)) > 0;)
        said.append(buffer, static_cast<std::size_t>(got));
    close(ends[0]);
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    return said;
}

}  // namespace

TEST_CASE("listeners of socket activation come in their order, with their names", "[activation]")
{
    const listener tcp = listener::bind("127.0.0.1:0");
    const listener local = listener::bind("unix:@whence-activation-" + std::to_string(getpid()));
    const std::vector<int> both{tcp.native_handle(), local.native_handle()};
    const std::string at_tcp = to_string(tcp.local());
    const std::string at_local = to_string(local.local());
    CHECK(activate({"own", "2", "web:admin"}, both) ==
          "web 3 " + at_tcp + "\nadmin 4 " + at_local + "\n");
    CHECK(activate({"own", "2", nullptr}, both) ==
          "unknown 3 " + at_tcp + "\nunknown 4 " + at_local + "\n");
    CHECK(activate({"own", "1", "same"}, both) == "same 3 " + at_tcp + "\n");
}

TEST_CASE("without socket activation, or for another process, there is nothing", "[activation]")
{
    const listener at = listener::bind("127.0.0.1:0");
    const std::vector<int> given{at.native_handle()};
    CHECK(activate({nullptr, nullptr, nullptr}, given).empty());
    CHECK(activate({"own", nullptr, nullptr}, given).empty());
    CHECK(activate({nullptr, "1", "web"}, given).empty());
    CHECK(activate({"1", "1", "web"}, given).empty());
    // Somebody else's variables are not read further.
    CHECK(activate({"1", "many", "web"}, given).empty());
}

TEST_CASE("malformed variables of socket activation are named", "[activation]")
{
    const listener at = listener::bind("127.0.0.1:0");
    struct row {
        variables given;
        const char* said;
    };
    const row rows[]{
        {{"x", "1", nullptr}, R"(LISTEN_PID="x": "x": must be a whole number)"},
        {{"0", "1", nullptr}, R"(LISTEN_PID="0": must be at least 1)"},
        {{"own", "", nullptr}, R"(LISTEN_FDS="": "": must be a whole number)"},
        {{"own", "-1", nullptr}, R"(LISTEN_FDS="-1": "-1": must be a whole number)"},
        {{"own", "0", nullptr}, R"(LISTEN_FDS="0": must be at least 1)"},
        {{"own", "2147483645", nullptr},
         R"(LISTEN_FDS="2147483645": "2147483645": must be at most 2147483644)"},
        {{"own", "2147483644", nullptr}, R"(LISTEN_FDS="2147483644": descriptor 4 is not open)"},
        {{"own", "1", "a:b"}, R"(LISTEN_FDNAMES="a:b": 2 names for 1 descriptors)"},
        {{"own", "2", "a"}, R"(LISTEN_FDNAMES="a": 1 names for 2 descriptors)"},
    };
    for (const row& each : rows)
        CHECK(activate(each.given, {at.native_handle()}) == std::string{each.said} + '\n');
}

TEST_CASE("a descriptor of socket activation that does not listen is named", "[activation]")
{
    const listener at = listener::bind("127.0.0.1:0");
    const socket_handle datagrams{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    CHECK(activate({"own", "2", "web:dns"}, {at.native_handle(), datagrams.get()}) ==
          "adopt descriptor 4: it is no stream socket: Protocol wrong type for socket\n");
}

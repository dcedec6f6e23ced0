#include "programs/whoami_server.hpp"
#include "support/test_driver.hpp"

#include <whence/net/listener.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <csignal>

using namespace support;

namespace {

/// Runs a server as a child of a service manager that hands over one socket as descriptor 3.
class activated_server {
public:
    activated_server(const std::string& listen, const std::string& variables)
        : socket_(whence::listener::bind("127.0.0.1:0")),
          low_(fcntl(socket_.native_handle(), F_DUPFD_CLOEXEC, 4)),
          program_(on_test_driver({"sh", "-c",
                                   "LISTEN_PID=$$ " + variables + " exec \"$0\" \"$@\" 3<&" +
                                       std::to_string(low_.get()),
                                   WHENCE_WHOAMI, "--listen", listen}),
                   options())
    {}

    std::string address() const { return to_string(socket_.local()); }
    process& program() noexcept { return program_; }

private:
    process_options options() const
    {
        REQUIRE(low_.get() <= 9);  // what a shell redirects from
        process_options streams;
        streams.inherited = {low_.get()};
        return streams;
    }

    whence::listener socket_;
    whence::socket_handle low_;
    process program_;
};

}  // namespace

TEST_CASE("a server at a UNIX path has the mode that was asked for, and removes it", "[listen]")
{
    const temporary_directory folder;
    const std::string path = folder / "socket";
    whoami_server server{{"--listen", "unix:" + path, "--unix-mode", "0600", "--unix-owner",
                          std::to_string(getuid()) + ':' + std::to_string(getgid())}};
    struct stat found{};
    REQUIRE(lstat(path.c_str(), &found) == 0);
    CHECK((found.st_mode & 07777) == 0600);
    client from{"unix:" + path};
    CHECK(converse(from, "hello").echo == "hello");
    server.program().signal(SIGTERM);
    CHECK(server.program().wait_for_exit() == 0);
    CHECK(lstat(path.c_str(), &found) != 0);
}

TEST_CASE("a server that was killed does not keep the next one from its path", "[listen]")
{
    const temporary_directory folder;
    const std::string address = "unix:" + (folder / "socket");
    {
        whoami_server first{{"--listen", address}};
        process second{{WHENCE_WHOAMI, "--listen", address}};
        CHECK(second.wait_for_exit() == 1);
        CHECK(second.wait_for_error(holds({"somebody listens there", "Address already in use"})));
        first.program().signal(SIGKILL);
        CHECK(first.program().wait_for_exit() == 128 + SIGKILL);
    }
    whoami_server next{{"--listen", address}};
    client from{address};
    CHECK(converse(from, "hello").echo == "hello");
}

TEST_CASE("a server that was killed does not keep the next one from its port", "[listen]")
{
    for (int round = 0; round < 5; ++round) {
        std::string address = "127.0.0.1:0";
        {
            whoami_server first{{"--listen", address}};
            address = first.address();
            client from{address};
            CHECK(converse(from, "hello").echo == "hello");
            first.program().signal(SIGKILL);
            CHECK(first.program().wait_for_exit() == 128 + SIGKILL);
        }
        whoami_server next{{"--listen", address}};
        client from{address};
        CHECK(converse(from, "hello").echo == "hello");
    }
}

TEST_CASE("a server takes the socket that systemd hands over, by its name", "[listen]")
{
    for (const char* listen : {"systemd", "systemd:web"}) {
        activated_server server{listen, "LISTEN_FDS=1 LISTEN_FDNAMES=web"};
        REQUIRE(server.program().wait_for_output(holds({"listening", server.address()})));
        client from{server.address()};
        CHECK(converse(from, "hello").echo == "hello");
    }
}

TEST_CASE("a server that was given no such socket says which there are", "[listen]")
{
    activated_server server{"systemd:admin", "LISTEN_FDS=1 LISTEN_FDNAMES=web"};
    CHECK(server.program().wait_for_exit() == 1);
    CHECK(server.program().wait_for_error(holds({"systemd:admin", R"(there are: \"web\")"})));
    activated_server broken{"systemd", "LISTEN_FDS=many"};
    CHECK(broken.program().wait_for_exit() == 1);
    CHECK(broken.program().wait_for_error(holds({R"(LISTEN_FDS=\"many\")"})));
}

TEST_CASE("a bad option of a listening socket ends with status 2 and is named", "[listen]")
{
    struct row {
        const char* option;
        const char* value;
    };
    const row rows[]{
        {"--listen", "systemd:"},
        {"--listen", "systemd-web"},
        {"--unix-mode", "0888"},
        {"--unix-mode", "1777"},
        {"--unix-mode", ""},
        {"--unix-owner", ":"},
        {"--unix-owner", ""},
        {"--unix-owner", "nobody-of-that-name"},
        {"--unix-owner", "4294967295"},
        {"--keep-alive", "1s,2s,3,4"},
        {"--keep-alive", "1s,"},
        {"--keep-alive", "often"},
        {"--backlog", "0"},
        {"--user-timeout", "5"},
        {"--defer-accept", "-1s"},
        {"--fast-open", "-1"},
        {"--receive-buffer", "2GiB"},
        {"--send-buffer", "much"},
    };
    for (const row& each : rows) {
        CAPTURE(each.option, each.value);
        process program{{WHENCE_WHOAMI, each.option, each.value}};
        CHECK(program.wait_for_exit() == 2);
        CHECK(program.errors_text().find(each.option) != std::string::npos);
    }
}

TEST_CASE("the options of a listening socket reach it", "[listen]")
{
    process program{{WHENCE_WHOAMI, "--listen", "127.0.0.1:0", "--keep-alive", "10h"}};
    CHECK(program.wait_for_exit() == 1);
    CHECK(program.wait_for_error(holds({"keep_alive.idle on 127.0.0.1:0: Invalid argument"})));
    whoami_server server{{"--listen", "[::]:0", "--v6-only", "--reuse-port", "--backlog", "16",
                          "--keep-alive", "30s,5s,3", "--user-timeout", "20s", "--defer-accept",
                          "1s", "--fast-open", "16", "--receive-buffer", "64KiB", "--send-buffer",
                          "64KiB"}};
    const std::string port = server.address().substr(server.address().rfind(':'));
    client from{"[::1]" + port};
    CHECK(converse(from, "hello").echo == "hello");
    CHECK_THROWS(client{"127.0.0.1" + port});
}

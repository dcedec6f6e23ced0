#include <whence/net/socket_path.hpp>

#include "support/process.hpp"
#include "support/run_here.hpp"

#include <whence/address/socket_address.hpp>
#include <whence/coro/deadline.hpp>
#include <whence/net/listener.hpp>
#include <whence/net/socket_setup.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <latch>

using namespace whence;
using support::run_here;
using support::temporary_directory;

namespace {

struct stat status_of(const std::string& path)
{
    struct stat found{};
    REQUIRE(lstat(path.c_str(), &found) == 0);
    return found;
}

bool exists(const std::string& path)
{
    struct stat found{};
    return lstat(path.c_str(), &found) == 0;
}

/// Binds a socket of a type at a path, as another program would.
socket_handle bind_at(const std::string& path, int type = SOCK_STREAM)
{
    const internal::socket_address at = internal::to_socket_address(endpoint::unix_path(path));
    socket_handle opened{::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    REQUIRE(::bind(opened.get(), at.get(), at.size) == 0);
    return opened;
}

/// Tells how a connect to a path ends, as an errno; 0: somebody listens.
int connect_to(const std::string& path)
{
    const internal::socket_address at = internal::to_socket_address(endpoint::unix_path(path));
    const socket_handle probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    return ::connect(probe.get(), at.get(), at.size) == 0 ? 0 : errno;
}

std::string refusal_of(const std::string& path, const listen_options& options = {})
{
    try {
        const listener bound = listener::bind(endpoint::unix_path(path), options);
    } catch (const std::system_error& error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("a UNIX listener's path has the mode that was asked for, whatever the umask",
          "[unix][kernel]")
{
    const temporary_directory folder;
    const mode_t before = umask(0077);
    {
        const listener standard = listener::bind("unix:" + (folder / "a"));
        const listener open_to_all = listener::bind("unix:" + (folder / "b"), {.unix_mode = 0666});
        CHECK((status_of(folder / "a").st_mode & 07777) == 0660);
        CHECK((status_of(folder / "b").st_mode & 07777) == 0666);
        CHECK(to_string(standard.local()) == "unix:" + (folder / "a"));
    }
    umask(before);
}

TEST_CASE("a UNIX listener's path is given to the owner and group that were named",
          "[unix][kernel]")
{
    const temporary_directory folder;
    const bool root = geteuid() == 0;
    const uid_t owner = root ? 12345 : geteuid();
    const gid_t group = root ? 54321 : getegid();
    const listener at =
        listener::bind("unix:" + (folder / "a"), {.unix_owner = owner, .unix_group = group});
    CHECK(status_of(folder / "a").st_uid == owner);
    CHECK(status_of(folder / "a").st_gid == group);
    const listener by_group = listener::bind("unix:" + (folder / "b"), {.unix_group = group});
    CHECK(status_of(folder / "b").st_uid == geteuid());
    CHECK(status_of(folder / "b").st_gid == group);
}

TEST_CASE("a path that cannot be given away is told, and does not stay", "[unix][kernel]")
{
    const temporary_directory folder;
    REQUIRE(chmod(folder.path().c_str(), 0777) == 0);
    const std::string path = folder / "a";
    const pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(2);
        const std::string what = refusal_of(path, {.unix_owner = 0});
        _exit(what == "set the owner of unix:" + path + ": Operation not permitted" ? 0 : 1);
    }
    REQUIRE(child > 0);
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK_FALSE(exists(path));
    CHECK_FALSE(exists(path + ".lock"));
}

TEST_CASE("a path that a dead server has left is taken over", "[unix][kernel]")
{
    run_here([]() -> task<> {
        const temporary_directory folder;
        const std::string path = folder / "a";
        bind_at(path);
        CHECK(connect_to(path) == ECONNREFUSED);
        listener at = listener::bind("unix:" + path);
        connection client = co_await connect(at.local());
        const connection server = co_await at.accept();
        CHECK(server.local() == at.local());
        CHECK_FALSE(exists(path + ".lock"));
    });
}

TEST_CASE("a path at which somebody listens is left alone", "[unix][kernel]")
{
    const temporary_directory folder;
    const std::string path = folder / "a";
    const std::string refusal =
        "bind unix:" + path + ": somebody listens there: Address already in use";
    SECTION("our own listener")
    {
        const listener first = listener::bind("unix:" + path);
        CHECK(refusal_of(path) == refusal);
        CHECK(connect_to(path) == 0);
    }
    SECTION("one whose backlog is full")
    {
        const socket_handle first = bind_at(path);
        REQUIRE(listen(first.get(), 0) == 0);
        std::vector<socket_handle> waiting;
        const internal::socket_address at = internal::to_socket_address(endpoint::unix_path(path));
        do
            waiting.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        while (::connect(waiting.back().get(), at.get(), at.size) == 0);
        REQUIRE(errno == EAGAIN);
        CHECK(refusal_of(path) == refusal);
        CHECK(connect_to(path) == EAGAIN);
    }
    SECTION("somebody who takes datagrams")
    {
        const socket_handle first = bind_at(path, SOCK_DGRAM);
        CHECK(refusal_of(path) == refusal);
        CHECK(exists(path));
    }
    CHECK_FALSE(exists(path + ".lock"));
}

TEST_CASE("a file that is no socket is left alone", "[unix][kernel]")
{
    const temporary_directory folder;
    const std::string path = folder / "a";
    SECTION("a file")
    {
        folder.write("a", "precious");
    }
    SECTION("a folder")
    {
        REQUIRE(mkdir(path.c_str(), 0700) == 0);
    }
    SECTION("a link to a stale socket")
    {
        bind_at(folder / "b");
        REQUIRE(symlink((folder / "b").c_str(), path.c_str()) == 0);
    }
    const struct stat before = status_of(path);
    CHECK(refusal_of(path) == "bind unix:" + path + ": what is there is no socket: File exists");
    CHECK(status_of(path).st_ino == before.st_ino);
    CHECK_FALSE(exists(path + ".lock"));
}

TEST_CASE("a path in a folder that is not there is told", "[unix][kernel]")
{
    const temporary_directory folder;
    CHECK(refusal_of(folder / "none/a") ==
          "open the lock of unix:" + (folder / "none/a") + ": No such file or directory");
}

TEST_CASE("a UNIX path may be as long as the kernel's, and no longer", "[unix][kernel]")
{
    const temporary_directory folder;
    std::string path = folder / "";
    path.resize(endpoint::unix_path_size_max, 'a');
    {
        const listener at = listener::bind("unix:" + path);
        CHECK(exists(path));
        CHECK(at.local().unix_name() == path);
    }
    CHECK_FALSE(exists(path));
    try {
        const listener at = listener::bind("unix:" + path + "a");
        FAIL("bound at 109 bytes");
    } catch (const std::invalid_argument& error) {
        CHECK(std::string{error.what()}.find("UNIX name longer than 108 bytes") !=
              std::string::npos);
    }
}

TEST_CASE("a listener's end removes its path, and no other's", "[unix][kernel]")
{
    const temporary_directory folder;
    const std::string path = folder / "a";
    SECTION("its own")
    {
        {
            listener first = listener::bind("unix:" + path);
            const listener moved = std::move(first);
            CHECK(exists(path));
        }
        CHECK_FALSE(exists(path));
    }
    SECTION("while connections are being accepted")
    {
        run_here([&path]() -> task<> {
            std::optional<listener> serving{listener::bind("unix:" + path)};
            deadline limit{1ms};
            auto accepting = as_result(serving->accept());
            const result<connection> none = co_await accepting;
            CHECK_FALSE(none.has_value());
            serving.reset();
            CHECK_FALSE(exists(path));
        });
    }
    SECTION("somebody else has bound the path since")
    {
        socket_handle other;
        {
            const listener first = listener::bind("unix:" + path);
            REQUIRE(unlink(path.c_str()) == 0);
            other = bind_at(path);
        }
        CHECK(exists(path));
    }
    SECTION("after the program has changed its folder")
    {
        const std::filesystem::path before = std::filesystem::current_path();
        std::filesystem::current_path(folder.path());
        {
            const listener at = listener::bind("unix:a");
            std::filesystem::current_path(before);
            CHECK(exists(path));
        }
        CHECK_FALSE(exists(path));
    }
}

TEST_CASE("who binds a path keeps others away meanwhile", "[unix][kernel]")
{
    const temporary_directory folder;
    const std::string path = folder / "a";
    const std::string left = folder.write("a.lock", "");  // by a starter that was killed
    const socket_handle file{open(left.c_str(), O_RDWR | O_CLOEXEC)};
    REQUIRE(flock(file.get(), LOCK_EX) == 0);
    CHECK(refusal_of(path) ==
          "bind unix:" + path + ": somebody else is about to: Address already in use");
    CHECK_FALSE(exists(path));
    REQUIRE(flock(file.get(), LOCK_UN) == 0);
    const listener at = listener::bind("unix:" + path);
    CHECK_FALSE(exists(left));
}

TEST_CASE("of many that find a stale path one serves, and is reached", "[unix][kernel]")
{
    constexpr int rounds = 25;
    constexpr int starters = 4;
    const temporary_directory folder;
    const std::string path = folder / "a";
    for (int round = 0; round < rounds; ++round) {
        bind_at(path);
        std::atomic<int> serving = 0;
        int reached = 0;
        {
            std::latch start{starters};
            std::latch bound{starters + 1};
            std::latch asked{1};
            std::vector<std::thread> all;
            for (int i = 0; i < starters; ++i) {
                all.emplace_back([&] {
                    start.arrive_and_wait();
                    std::optional<listener> at;
                    try {
                        at.emplace(listener::bind("unix:" + path));
                        ++serving;
                    } catch (const std::system_error&) {
                    }
                    bound.arrive_and_wait();
                    asked.wait();
                });
            }
            bound.arrive_and_wait();
            reached = connect_to(path);
            asked.count_down();
            for (std::thread& each : all)
                each.join();
        }
        REQUIRE(serving == 1);
        REQUIRE(reached == 0);
        REQUIRE_FALSE(exists(path));
    }
}

TEST_CASE("a file that happens to be named like the lock is nobody's to remove", "[net][kernel]")
{
    const temporary_directory folder;
    const std::string path = folder / "a";
    std::ofstream{path + ".lock"} << "precious";
    CHECK_THROWS_WITH(listener::bind("unix:" + path),
                      "bind unix:" + path +
                          ": PATH.lock is somebody's file, not a lock: File exists");
    CHECK(std::filesystem::file_size(path + ".lock") == 8);
}

TEST_CASE("a UNIX socket without a name is not listened on", "[net][kernel]")
{
    for (const char* nameless : {"unix:", "unix:@"})
        CHECK_THROWS_AS(listener::bind(nameless), std::system_error);
}

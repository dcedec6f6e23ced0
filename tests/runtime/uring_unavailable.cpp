#include <whence/runtime/uring_unavailable.hpp>

#include "support/forbid_io_uring.hpp"

#include <whence/runtime/driver.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

using namespace whence;
using support::forbid_io_uring;

namespace {

/// Opens a driver in a child process after `restrict`, and gives what the failure said.
template <class Restrict>
std::string failure_under(Restrict restrict)
{
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::string said = "no failure";
        if (!restrict())
            said = "the restriction failed";
        try {
            open_uring_driver();
        } catch (const driver_unavailable& error) {
            said = error.what();
        }
        [[maybe_unused]] const ssize_t written = write(ends[1], said.data(), said.size());
        _exit(0);
    }
    close(ends[1]);
    std::array<char, 1000> text{};
    const ssize_t size = read(ends[0], text.data(), text.size());
    close(ends[0]);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace

TEST_CASE("a ring that seccomp forbids is explained", "[runtime]")
{
    const std::string said = failure_under([] { return forbid_io_uring(EPERM); });
    CHECK(said.starts_with("cannot set up an io_uring: a seccomp filter forbids it"));
    CHECK(said.find("io_uring_setup") != said.npos);
}

TEST_CASE("a ring that seccomp hides is explained", "[runtime]")
{
    const std::string said = failure_under([] { return forbid_io_uring(ENOSYS); });
    CHECK(said.find("a seccomp filter hides it, or the kernel") != said.npos);
}

TEST_CASE("a kernel that is too old is explained", "[runtime]")
{
    const std::string said = failure_under([] { return forbid_io_uring(EINVAL); });
    CHECK(said.find("is too old: Linux 6.1 or newer is needed") != said.npos);
}

TEST_CASE("a limit of open files is explained", "[runtime]")
{
    const std::string said = failure_under([] {
        const rlimit none{.rlim_cur = 0, .rlim_max = 0};
        return setrlimit(RLIMIT_NOFILE, &none) == 0;
    });
    CHECK(said.find("limit of open files (RLIMIT_NOFILE)") != said.npos);
}

TEST_CASE("every cause has words and its errno", "[runtime]")
{
    CHECK(explain_uring_error(ENOMEM, "do it").find("RLIMIT_MEMLOCK") != std::string::npos);
    CHECK(explain_uring_error(ENFILE, "do it").find("fs.file-max") != std::string::npos);
    CHECK(explain_uring_error(EIO, "do it") == "cannot do it: Input/output error (errno 5)");
}

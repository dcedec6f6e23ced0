#include <whence/runtime/uring_unavailable.hpp>

#include <whence/runtime/driver.hpp>

#include <catch2/catch_test_macros.hpp>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>

using namespace whence;

namespace {

/// Lets io_uring_setup fail with `error`, as a container's seccomp profile does.
bool forbid_io_uring(unsigned error)
{
    std::array<sock_filter, 4> program{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    sock_fprog filter{.len = program.size(), .filter = program.data()};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

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

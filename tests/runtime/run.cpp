#include <whence/runtime/run.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

using namespace whence;

TEST_CASE("a signal that comes as the program ends does not kill it", "[runtime]")
{
    const pid_t child = fork();
    if (child == 0) {
        // Raised after the watch had its last turn: pending when run() puts the old ways back.
        _exit(run([]() -> task<> {
            for (const int signal : {SIGTERM, SIGINT, SIGHUP})
                std::raise(signal);
            co_return;
        }()));
    }
    REQUIRE(child > 0);
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(status == 0);
}

TEST_CASE("a program may have as many descriptors as the hard limit lets it", "[runtime]")
{
    const pid_t child = fork();
    if (child == 0) {
        rlimit limit{};
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = 50;
        setrlimit(RLIMIT_NOFILE, &limit);
        bool raised = false;
        run([](bool& seen) -> task<> {
            rlimit now_in_force{};
            getrlimit(RLIMIT_NOFILE, &now_in_force);
            seen = now_in_force.rlim_cur == now_in_force.rlim_max;
            co_return;
        }(raised));
        _exit(raised ? 0 : 1);
    }
    REQUIRE(child > 0);
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

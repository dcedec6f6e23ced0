#include <whence/runtime/run.hpp>

#include <catch2/catch_test_macros.hpp>

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

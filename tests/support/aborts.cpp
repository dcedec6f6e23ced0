#include "aborts.hpp"

#include <catch2/catch_test_macros.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

namespace support {

std::string abort_message_of(const std::function<void()>& misuse)
{
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    const pid_t child = fork();
    if (child == 0) {
        std::signal(SIGABRT, SIG_DFL);  // Catch2's would report a failed test
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        misuse();
        _exit(0);
    }
    close(ends[1]);
    std::string said;
    std::array<char, 1000> part{};
    for (ssize_t size; (size = read(ends[0], part.data(), part.size())) > 0;)
        said.append(part.data(), static_cast<std::size_t>(size));
    close(ends[0]);
    REQUIRE(child > 0);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    const bool aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    CHECK(aborted);
    return said;
}

}  // namespace support

#include <whence/runtime/log_sink.hpp>

#include "support/run_here.hpp"

#include <whence/coro/deadline.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <string>

using namespace whence;
using support::run_here;

namespace {

struct pipe_ends {
    pipe_ends() { REQUIRE(pipe(ends.data()) == 0); }
    ~pipe_ends()
    {
        for (const int end : ends)
            close(end);
    }
    std::string read_all() const
    {
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        std::string text;
        std::array<char, 65536> part{};
        for (ssize_t size = 0; (size = read(ends[0], part.data(), part.size())) > 0;)
            text.append(part.data(), static_cast<std::size_t>(size));
        return text;
    }
    std::array<int, 2> ends{};
};

}  // namespace

TEST_CASE("lines arrive whole and in order", "[runtime]")
{
    const pipe_ends wire;
    run_here([&wire]() -> task<> {
        log_sink sink{runtime::current().io(), runtime::current().mail(), wire.ends[1]};
        for (int i = 0; i < 100; ++i) {
            sink.line("line " + std::to_string(i));
            if (i % 10 == 0)
                co_await sleep_for(1ms);
        }
        sink.flush(1s);
    });
    std::string expected;
    for (int i = 0; i < 100; ++i)
        expected += "line " + std::to_string(i) + "\n";
    CHECK(wire.read_all() == expected);
}

TEST_CASE("a reader that stalls costs lines, not time, and hears how many", "[runtime]")
{
    const pipe_ends wire;
    u64 dropped = 0;
    std::string before;
    std::string after;
    run_here([&]() -> task<> {
        log_sink sink{runtime::current().io(), runtime::current().mail(), wire.ends[1]};
        const std::string line(999, 'x');
        const time_point start = now();
        for (int i = 0; i < 2000; ++i) {
            sink.line(line);
            if (i % 100 == 0)
                co_await sleep_for(1ms);
        }
        CHECK(now() - start < 10s);
        dropped = sink.dropped();
        // The reader comes back: what is buffered arrives, and the loss is told.
        for (int i = 0; i < 50; ++i) {
            before += wire.read_all();
            co_await sleep_for(1ms);
        }
        sink.line("the end");
        for (int i = 0; i < 50; ++i) {
            after += wire.read_all();
            co_await sleep_for(1ms);
        }
    });
    CHECK(dropped > 1000);
    CHECK(before.size() % 1000 == 0);
    CHECK(before.size() / 1000 + dropped == 2000);
    CHECK(after ==
          "{\"event\":\"log_dropped\",\"count\":" + std::to_string(dropped) + "}\nthe end\n");
}

TEST_CASE("a sink whose reader has gone ends all the same", "[runtime]")
{
    pipe_ends wire;
    close(wire.ends[0]);
    wire.ends[0] = dup(2);
    // The write would raise SIGPIPE; a server built on run() has it ignored.
    signal(SIGPIPE, SIG_IGN);
    run_here([&wire]() -> task<> {
        log_sink sink{runtime::current().io(), runtime::current().mail(), wire.ends[1]};
        sink.line("nobody reads this");
        co_await sleep_for(1ms);
        sink.line("nor this");
        sink.flush(1s);
    });
    signal(SIGPIPE, SIG_DFL);
}

// How much memory does an idle connection take outside of the kernel?
//
//   bench/memory [connections]      default 5000
//
// Opens connections, leaves them idle, closes them, three times over; the server tells what it
// holds. The buffer pool is touched before and does not count: it is as large for one connection as
// for ten thousand. Nothing is gated.

#include "in_process.hpp"

#include <malloc.h>
#include <sys/wait.h>

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <vector>

using namespace whence;

namespace {

constexpr int cycles = 3;
constexpr std::string_view quit = "quit";
constexpr std::string_view ask = "how much";
constexpr std::size_t pool_touches = 2048;  // more than the pool has buffers

struct usage {
    i64 frames;
    i64 frame_bytes;
    i64 heap_bytes;
    i64 resident_bytes;
};

usage usage_now()
{
    long pages = 0;
    if (std::FILE* const statm = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(statm, "%*d %ld", &pages) != 1)
            pages = 0;
        std::fclose(statm);
    }
    const frame_usage frames = frames_in_use();
    const struct mallinfo2 heap = mallinfo2();
    return {frames.frames, frames.bytes, static_cast<i64>(heap.uordblks + heap.hblkhd),
            i64{pages} * sysconf(_SC_PAGESIZE)};
}

task<> serve_client(connection& conn)
{
    co_await conn.write("!");  // the gate is behind us
    while (auto chunk = co_await conn.receive()) {
        if (chunk.text() == quit)
            runtime::current().drain().set();
        if (chunk.text() != ask)
            continue;
        const usage answer = usage_now();
        co_await conn.write(std::as_bytes(std::span{&answer, 1}));
    }
}

bench::client open_session(u16 port, std::string_view first)
{
    char greeting = 0;
    bench::client opened{port};
    opened.send(first);
    opened.receive(&greeting, 1);
    return opened;
}

usage ask_for_usage(const bench::client& of)
{
    usage answer{};
    of.send(ask);
    of.receive(reinterpret_cast<char*>(&answer), sizeof answer);
    return answer;
}

std::string no_header(std::size_t)
{
    return {};
}

/// Names another client for each connection: what a limit remembers of clients is not shared then.
std::string header_of(std::size_t i)
{
    return "PROXY TCP4 10." + std::to_string(i >> 16 & 255) + '.' + std::to_string(i >> 8 & 255) +
           '.' + std::to_string(i & 255) + " 198.51.100.2 56324 443\r\n";
}

void measure(u16 port, std::string (*first)(std::size_t), std::size_t connections)
{
    const bench::client control = open_session(port, first(connections));
    for (std::size_t i = 0; i < pool_touches; ++i)
        ask_for_usage(control);
    std::vector<bench::client> idle;
    idle.reserve(connections);
    const usage empty = ask_for_usage(control);
    for (int cycle = 1; cycle <= cycles; ++cycle) {
        for (std::size_t i = 0; i < connections; ++i)
            idle.push_back(open_session(port, first(i)));
        const usage full = ask_for_usage(control);
        const auto each = [connections](i64 now, i64 before) {
            return static_cast<double>(now - before) / static_cast<double>(connections);
        };
        std::printf("    cycle %d %26s %8.1f %12.0f %12.0f %12.0f\n", cycle, "",
                    each(full.frames, empty.frames), each(full.frame_bytes, empty.frame_bytes),
                    each(full.heap_bytes, empty.heap_bytes),
                    each(full.resident_bytes, empty.resident_bytes));
        idle.clear();
        while (ask_for_usage(control).frames > empty.frames)
            std::this_thread::yield();
    }
    control.send(quit);
}

/// Runs a setting in a process of its own: freed frames stay with their process.
template <class Work>
void in_child(const char* title, Work work)
{
    std::printf("%s\n", title);
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        work();
        std::fflush(stdout);
        std::_Exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        bench::fail("a setting failed");
}

}  // namespace

int main(int count, char** arguments)
{
    const std::size_t connections =
        count > 1 ? std::strtoul(arguments[1], nullptr, 10) : std::size_t{5000};
    std::printf(
        "%zu idle connections, per connection   frames  frame bytes   heap bytes    RSS bytes\n",
        connections);
    in_child("  echo", [connections] {
        bench::serve_and(serve_client, [&](u16 port) { measure(port, no_header, connections); });
    });
    const proxy_protocol::accept gate{{.trust = {"127.0.0.1"}}};
    const access_log log{log_stream::none};
    in_child(
        "  header gate, access log (off), echo       goal, frames and heap: 420 (clang), 512 (g++)",
        [&] {
            bench::serve_and(pipeline(gate, log, serve_client),
                             [&](u16 port) { measure(port, header_of, connections); });
        });
    in_child("  header gate, client limit, access log (off), echo, each with a client of its own",
             [&] {
                 bench::serve_and(pipeline(gate, client_limits{{}}, log, serve_client),
                                  [&](u16 port) { measure(port, header_of, connections); });
             });
}

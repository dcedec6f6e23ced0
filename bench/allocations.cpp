// How often does an echo allocate, once a server has settled?
//
//   bench/allocations
//
// Counts every allocation of the whole process (malloc and its family; operator new uses it) while
// 64 connections echo. Fails if there is one.

#include "in_process.hpp"

#include <atomic>
#include <vector>

extern "C" {
// glibc's own, under the names that remain when a program defines malloc.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
}

namespace {

constinit std::atomic<unsigned long> allocations{0};

void count_one()
{
    allocations.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

extern "C" {
void* malloc(std::size_t size)
{
    count_one();
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size)
{
    count_one();
    return __libc_calloc(count, size);
}
void* realloc(void* block, std::size_t size)
{
    count_one();
    return __libc_realloc(block, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size)
{
    count_one();
    return __libc_memalign(alignment, size);
}
}

using namespace whence;

namespace {

constexpr std::size_t connections = 64;
constexpr std::size_t rounds = 500;  // 32,000 messages
constexpr std::string_view message =
    "sixty-four bytes, more or less, which come back as they are ....";
constexpr std::string_view quit = "quit";
constexpr std::string_view header = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";

task<> echo(connection& conn)
{
    while (auto chunk = co_await conn.receive()) {
        if (chunk.text() == quit)
            runtime::current().drain().set();
        co_await conn.write(chunk);
    }
}

task<> echo_with_deadline(connection& conn)
{
    deadline idle{60s};
    while (auto chunk = co_await conn.receive()) {
        if (chunk.text() == quit)
            runtime::current().drain().set();
        co_await conn.write(chunk);
        idle.refresh();
    }
}

void echo_once(const std::vector<bench::client>& clients)
{
    char reply[message.size()];
    for (const bench::client& each : clients)
        each.send(message);
    for (const bench::client& each : clients)
        each.receive(reply, sizeof reply);
}

template <class App>
bool measure(driver_choice driver, const char* name, App app, std::string_view first)
{
    unsigned long counted = 0;
    bench::serve_and(
        std::move(app),
        [&counted, first](u16 port) {
            std::vector<bench::client> clients;
            for (std::size_t i = 0; i < connections; ++i)
                clients.emplace_back(port).send(first);
            for (std::size_t i = 0; i < rounds; ++i)
                echo_once(clients);
            const unsigned long before = allocations;
            for (std::size_t i = 0; i < rounds; ++i)
                echo_once(clients);
            counted = allocations - before;
            clients.front().send(quit);
        },
        driver);
    std::printf("  %-44s %9lu   in %zu echoes%s\n", name, counted, rounds * connections,
                counted == 0 ? "" : "   ABOVE THE LIMIT");
    return counted == 0;
}

}  // namespace

int main()
{
    const proxy_protocol::trust_table trust{"127.0.0.1"};
    bool none = true;
    for (const auto& [name, driver] :
         {std::pair{"io_uring", driver_choice::io_uring}, std::pair{"asio", driver_choice::asio}})
    {
        std::printf("%-8s %-37s %9s   limit 0\n", name, "allocations", "measured");
        none &= measure(driver, "echo", echo, "");
        none &= measure(driver, "header gate, access log, echo, idle deadline",
                        pipeline(proxy_protocol::accept({.trust = trust}),
                                 access_log{log_stream::none}, echo_with_deadline),
                        header);
    }
    return none ? 0 : 1;
}

#include <whence/net/serve.hpp>

#include "support/run_server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <cstdlib>
#include <new>
#include <string>

namespace {

thread_local std::size_t fails_in = 0;  // the how-manieth allocation from now; 0: none

}  // namespace

void* operator new(std::size_t size)
{
    if (fails_in != 0 && --fails_in == 0)
        throw std::bad_alloc{};
    if (void* block = std::malloc(size == 0 ? 1 : size))
        return block;
    throw std::bad_alloc{};
}
void operator delete(void* block) noexcept
{
    std::free(block);
}
void operator delete(void* block, std::size_t) noexcept
{
    std::free(block);
}

using namespace whence;
using support::ask;
using support::run_here;

namespace {

/// Forgets a failure that did not come.
struct fuse {
    explicit fuse(std::size_t allocation) { fails_in = allocation; }
    ~fuse() { fails_in = 0; }
    static bool blown() { return fails_in == 0; }
};

task<> echo(connection& conn)
{
    while (auto got = co_await conn.receive())
        co_await conn.write(got);
}

}  // namespace

TEST_CASE("a connection that there is no memory for costs itself alone", "[net]")
{
    std::size_t refused = 0;
    for (std::size_t k = 1;; ++k) {
        bool blown = false;
        std::string answer;
        run_here([&]() -> task<> {
            std::vector<listener> listeners;
            listeners.push_back(listener::bind("unix:@whence-memory-" + std::to_string(getpid())));
            const endpoint address = listeners.front().local();
            scope server;
            server.spawn(serve(std::move(listeners), echo));
            co_await support::settle();
            {
                const fuse lit{k};
                try {
                    co_await ask(address, "lost, perhaps");
                } catch (const std::exception&) {
                    ++refused;
                }
                blown = fuse::blown();
            }
            answer = co_await ask(address, "hello");
            runtime::current().drain().set();
            co_await server.join();
        });
        REQUIRE(answer == "hello");
        if (!blown)
            break;
    }
    CHECK(refused > 0);
}

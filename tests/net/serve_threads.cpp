#include <whence/net/serve.hpp>

#include "support/run_server.hpp"

#include <whence/runtime/invoke_on.hpp>

#include <catch2/catch_test_macros.hpp>

#include <deque>
#include <mutex>

using namespace whence;
using support::ask;
using support::echo;
using support::run_in_group;
using support::with_server;

namespace {

/// Answers with the index of the runtime that serves, then waits for the client's end.
task<> tell_runtime(connection& conn)
{
    co_await conn.write(std::to_string(runtime::current().index()));
    while (auto got = co_await conn.receive()) {
    }
}

task<std::size_t> index_of(connection& conn)
{
    std::array<std::byte, 1> digit{};
    auto reading = conn.read_exact(digit);
    const bool got = co_await reading;
    REQUIRE(got);
    co_return static_cast<std::size_t>(static_cast<char>(digit[0]) - '0');
}

}  // namespace

TEST_CASE("long sessions are spread evenly, whichever end", "[net][kernel]")
{
    run_in_group(3, []() -> task<> {
        co_await with_server(&tell_runtime, [](endpoint address) -> task<> {
            constexpr std::size_t sessions = 300;
            std::deque<connection> open;
            std::array<std::size_t, 3> served{};
            std::vector<std::size_t> where;
            for (std::size_t i = 0; i < sessions; ++i) {
                open.push_back(co_await connect(address));
                auto asking = index_of(open.back());
                where.push_back(co_await asking);
                ++served[where.back()];
            }
            for (const std::size_t count : served)
                CHECK(count == sessions / 3);
            // All of one runtime leave: what comes next goes there.
            for (std::size_t i = 0; i < sessions; ++i) {
                if (where[i] == 1)
                    open[i].close();
            }
            // The server hears of it a little later.
            co_await sleep_for(50ms);
            std::size_t refilled = 0;
            for (std::size_t i = 0; i < sessions / 3; ++i) {
                open.push_back(co_await connect(address));
                auto asking = index_of(open.back());
                const std::size_t at = co_await asking;
                refilled += at == 1 ? 1u : 0u;
            }
            CHECK(refilled == sessions / 3);
        });
    });
}

TEST_CASE("a drain ends the sessions of all runtimes, the slow ones by its deadline",
          "[net][kernel]")
{
    const auto begin = std::chrono::steady_clock::now();
    run_in_group(3, []() -> task<> {
        std::deque<connection> open;
        co_await with_server(&tell_runtime,
                             [&open](endpoint address) -> task<> {
                                 for (int i = 0; i < 30; ++i) {
                                     open.push_back(co_await connect(address));
                                     auto asking = index_of(open.back());
                                     co_await asking;
                                 }
                             },
                             {.drain_time_max = 20ms});
        for (connection& conn : open) {
            auto receiving = as_result(conn.receive());
            const result<chunk> end = co_await receiving;
            CHECK((end && !*end));
        }
    });
    CHECK(std::chrono::steady_clock::now() - begin < 30s);
}

TEST_CASE("a cancelled server cancels its sessions in all runtimes", "[net][kernel]")
{
    run_in_group(3, []() -> task<> {
        std::vector<listener> listeners;
        listeners.push_back(listener::bind("127.0.0.1:0"));
        const endpoint address = listeners.front().local();
        std::deque<connection> open;
        scope server;
        server.spawn(serve(std::move(listeners), &tell_runtime, {.drain_time_max = 1h}));
        for (int i = 0; i < 30; ++i) {
            open.push_back(co_await connect(address));
            auto asking = index_of(open.back());
            co_await asking;
        }
        // Some that come while it ends.
        for (int i = 0; i < 30; ++i)
            open.push_back(co_await connect(address));
        server.stop();
        co_await server.join();
    });
}

TEST_CASE("the bound on handshakes is for all runtimes together", "[net][kernel]")
{
    class gated final : public application {
    public:
        std::span<const gate_reference> gates() const noexcept override { return gate_; }
        task<> session(connection& conn) const override { return tell_runtime(conn); }

    private:
        static task<verdict> wait_for_byte(const void*, connection& conn)
        {
            auto peeking = as_result(conn.peek(1));
            const result<const_bytes> there = co_await peeking;
            if (!there || there->empty())
                co_return verdict::refuse_quietly("closed");
            co_return verdict::pass();
        }
        std::array<gate_reference, 1> gate_{{{&wait_for_byte, nullptr}}};
    };
    run_in_group(3, []() -> task<> {
        std::vector<listener> listeners;
        listeners.push_back(listener::bind("127.0.0.1:0"));
        const endpoint address = listeners.front().local();
        constexpr std::size_t bound = 10;
        scope server;
        server.spawn(serve(std::move(listeners), std::make_unique<const gated>(),
                           {.handshakes_max = bound}));
        std::deque<connection> open;
        for (std::size_t i = 0; i < bound; ++i)
            open.push_back(co_await connect(address));
        connection one_too_many = co_await connect(address);
        auto refused_one = as_result(one_too_many.receive());
        const result<chunk> refusal = co_await refused_one;
        CHECK(refusal.error() == std::errc::connection_reset);
        // Those that pass make room, wherever they are.
        for (connection& conn : open) {
            co_await conn.write("x");
            auto asking = index_of(conn);
            co_await asking;
        }
        for (std::size_t i = 0; i < bound; ++i) {
            open.push_back(co_await connect(address));
            co_await open.back().write("x");
            auto asking = index_of(open.back());
            co_await asking;
        }
        runtime::current().drain().set();
        for (connection& conn : open)
            conn.close();
        co_await server.join();
    });
}

TEST_CASE("short connections in a storm are all answered, and nothing is left", "[net][kernel]")
{
    run_in_group(2, []() -> task<> {
        co_await with_server(echo, [](endpoint address) -> task<> {
            int answered = 0;
            for (int round = 0; round < 20; ++round) {
                scope clients;
                for (int i = 0; i < 50; ++i) {
                    clients.spawn([](endpoint to, int& count) -> task<> {
                        auto asking = ask(to, "hello");
                        const std::string answer = co_await asking;
                        count += answer == "hello" ? 1 : 0;
                    }(address, answered));
                }
                co_await clients.join();
            }
            CHECK(answered == 1000);
        });
    });
}

TEST_CASE("with a listening socket in each runtime the kernel deals the connections out",
          "[net][kernel]")
{
    run_in_group(3, []() -> task<> {
        std::vector<listener> listeners;
        listeners.push_back(listener::bind("127.0.0.1:0", {.reuse_port = true}));
        const endpoint address = listeners.front().local();
        scope server;
        server.spawn(serve(std::move(listeners), &tell_runtime,
                           {.drain_time_max = 20ms, .spread = spread::reuse_port}));
        std::deque<connection> open;
        std::array<std::size_t, 3> served{};
        for (int i = 0; i < 300; ++i) {
            open.push_back(co_await connect(address));
            auto asking = index_of(open.back());
            const std::size_t at = co_await asking;
            ++served[at];
        }
        for (const std::size_t count : served)
            CHECK(count > 30);
        runtime::current().drain().set();
        co_await server.join();
    });
}

TEST_CASE("a server at an address opens a socket for each runtime when they shall have their own",
          "[net][kernel]")
{
    run_in_group(2, []() -> task<> {
        scope server;
        server.spawn(serve("127.0.0.1:0", &tell_runtime, {.spread = spread::reuse_port}));
        co_await sleep_for(20ms);
        runtime::current().drain().set();
        co_await server.join();
    });
}

#include <whence/runtime/driver.hpp>

#include "support/run_here.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/coro/yield.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <deque>
#include <random>
#include <string>
#include <vector>

using namespace whence;
using support::connect_pair;
using support::run_here;

namespace {

/// Receives in strands that are stopped at random, and puts together what came.
struct race_record {
    std::string received;
    int cancelled = 0;
    int won = 0;
};

task<> receive_once(connection& from, race_record& record)
{
    auto receiving = as_result(from.receive());
    result<chunk> got = co_await receiving;
    if (!got) {
        record.cancelled += got.error() == std::errc::operation_canceled;
        co_return;
    }
    record.won += whence::internal::ctx.current->stopped;
    record.received += got->text();
}

}  // namespace

TEST_CASE("a cancellation that races data loses no byte and no buffer", "[runtime]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        std::mt19937 random{7};
        race_record record;
        std::string sent;
        for (int round = 0; round < 5000; ++round) {
            scope receivers;
            receivers.spawn(receive_once(pair.server, record));
            const std::string part(1 + random() % 100, static_cast<char>('a' + round % 26));
            const auto turns = random() % 3;
            for (unsigned i = 0; i < turns; ++i)
                co_await yield{};
            if (random() % 2 != 0) {
                co_await pair.client.write(part);
                sent += part;
            }
            if (random() % 4 == 0)
                co_await yield{};
            receivers.stop();
            co_await receivers.join();
        }
        pair.client.shutdown();
        while (auto rest = co_await pair.server.receive())
            record.received += rest.text();
        CHECK(record.received == sent);
        CHECK(record.cancelled > 100);
        CHECK(record.won > 100);
    });
}

TEST_CASE("a pool of eight buffers serves two hundred connections", "[runtime]")
{
    const driver_options small{.entries = 64, .buffers_count = 8, .buffer_size = 256};
    run_here(
        []() -> task<> {
            std::deque<support::connected_pair> pairs;
            for (int i = 0; i < 200; ++i)
                pairs.push_back(co_await connect_pair());
            scope servers;
            for (auto& pair : pairs) {
                servers.spawn([](connection& conn) -> task<> {
                    while (auto got = co_await conn.receive())
                        co_await conn.write(got);
                }(pair.server));
            }
            // All wait with an empty pool in prospect; then all speak at once, several times.
            int answered = 0;
            for (int round = 0; round < 20; ++round) {
                for (auto& pair : pairs)
                    co_await pair.client.write("message of round " + std::to_string(round));
                for (auto& pair : pairs) {
                    std::array<std::byte, 17> head{};
                    const bool whole = co_await pair.client.read_exact(head);
                    answered += whole;
                    std::array<std::byte, 2> number{};
                    const auto digits = std::span{number}.first(round < 10 ? 1 : 2);
                    co_await pair.client.read_exact(digits);
                }
            }
            CHECK(answered == 200 * 20);
            for (auto& pair : pairs)
                pair.client.shutdown();
            co_await servers.join();
        },
        small);
}

TEST_CASE("idle connections that met an empty pool do not queue before one with data", "[runtime]")
{
    const driver_options tiny{.entries = 64, .buffers_count = 2, .buffer_size = 64};
    run_here(
        []() -> task<> {
            std::deque<support::connected_pair> pairs;
            for (int i = 0; i < 100; ++i)
                pairs.push_back(co_await connect_pair());
            race_record record;
            scope readers;
            {
                co_await pairs[0].client.write("takes one buffer");
                co_await pairs[1].client.write("takes the other");
                const chunk first = co_await pairs[0].server.receive();
                const chunk second = co_await pairs[1].server.receive();
                for (std::size_t i = 2; i < pairs.size(); ++i)
                    readers.spawn(receive_once(pairs[i].server, record));
                co_await support::settle();
            }
            // Both buffers are free; if the idle ones queued, this one would be many turns away.
            co_await pairs.back().client.write("data");
            co_await sleep_for(50ms);
            CHECK(record.received == "data");
            readers.stop();
            co_await readers.join();
        },
        tiny);
}

TEST_CASE("a starved receive can be cancelled", "[runtime]")
{
    const driver_options tiny{.entries = 64, .buffers_count = 1, .buffer_size = 64};
    run_here(
        []() -> task<> {
            auto first = co_await connect_pair();
            auto second = co_await connect_pair();
            co_await first.client.write("takes the only buffer");
            co_await second.client.write("finds none");
            {
                // One buffer: its low water is zero, so the lease stays in the pool.
                const chunk held = co_await first.server.receive();
                CHECK(held.text() == "takes the only buffer");
                deadline limit{20ms};
                auto receiving = as_result(second.server.receive());
                const result<chunk> starved = co_await receiving;
                REQUIRE_FALSE(starved.has_value());
                CHECK(limit.expired());
            }
            const chunk late = co_await second.server.receive();
            CHECK(late.text() == "finds none");
        },
        tiny);
}

TEST_CASE("more submissions in a turn than the ring has room for are all carried out", "[runtime]")
{
    const driver_options narrow{.entries = 4, .buffers_count = 64, .buffer_size = 256};
    run_here(
        []() -> task<> {
            std::deque<support::connected_pair> pairs;
            for (int i = 0; i < 50; ++i)
                pairs.push_back(co_await connect_pair());
            int received = 0;
            scope readers;
            for (auto& pair : pairs) {
                readers.spawn([](connection& conn, int& count) -> task<> {
                    const chunk got = co_await conn.receive();
                    count += got.text() == "x";
                }(pair.server, received));
            }
            co_await support::settle();
            for (auto& pair : pairs)
                co_await pair.client.write("x");
            co_await readers.join();
            CHECK(received == 50);
        },
        narrow);
}

TEST_CASE("options that make no sense are the caller's mistake, not the kernel's", "[runtime]")
{
    for (const driver_options& wrong :
         {driver_options{.entries = 0}, driver_options{.buffers_count = 1000},
          driver_options{.buffers_count = 65'536}, driver_options{.buffer_size = 0}})
        CHECK_THROWS_AS(open_driver(support::test_driver(), wrong), std::invalid_argument);
}

TEST_CASE("a send that is cancelled between its pieces tells what has gone", "[runtime]")
{
    const std::string much(std::size_t{1} << 20, 'x');
    for (std::size_t step = 500; step <= 4'000; step += 500) {
        CAPTURE(step);
        const auto io = support::open_test_driver();
        std::array<int, 2> ends{};
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
        const int little = 1;  // the kernel's least
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
        operation sending;
        sending.done = [](operation&) noexcept {};
        sending.what = verb::send;
        sending.fd = ends[0];
        sending.data = const_cast<char*>(much.data());
        sending.size = static_cast<u32>(much.size());
        submit(sending, *io);
        std::array<char, 4'000> part{};
        std::size_t read = 0;
        for (int turn = 0; turn < 10'000 && sending.offset < 256 * 1024; ++turn) {
            io->wait(nanoseconds::zero());
            const ssize_t got = recv(ends[1], part.data(), step, MSG_DONTWAIT);
            read += static_cast<std::size_t>(std::max(got, ssize_t{0}));
        }
        REQUIRE(sending.offset >= 256 * 1024);
        const u64 moved = sending.offset;
        cancel(sending);
        for (int turn = 0; turn < 100 && sending.state != operation_state::idle; ++turn)
            io->wait(10ms);
        REQUIRE(sending.state == operation_state::idle);
        CHECK(sending.result >= static_cast<int>(moved));
        for (ssize_t got = 1; got > 0;) {
            got = recv(ends[1], part.data(), part.size(), MSG_DONTWAIT);
            read += static_cast<std::size_t>(std::max(got, ssize_t{0}));
        }
        CHECK(sending.result == static_cast<int>(read));
        for (const int fd : ends)
            io->close(fd);
    }
}

TEST_CASE("a large write reaches a slow reader whole", "[runtime]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        std::string sent(20'000'000, '\0');
        for (std::size_t i = 0; i < sent.size(); ++i)
            sent[i] = static_cast<char>(i * 31 / 7);
        scope writer;
        writer.spawn([](connection& to, const std::string& text) -> task<> {
            co_await to.write(text);
            to.shutdown();
        }(pair.client, sent));
        std::string received;
        while (auto part = co_await pair.server.receive()) {
            received += part.text();
            if (received.size() % 7 == 0)
                co_await yield{};
        }
        CHECK(received == sent);
        co_await writer.join();
    });
}

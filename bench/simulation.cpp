// What does a message cost in a simulated world?
//
//   bench/simulation [rounds]      default 11
//
// 64 bytes from a client to an echo server and back, thread time for each message (two a round
// trip), both programs and the network included. The baseline is the queue that orders events,
// alone.

#include "measure.hpp"

#include <whence/coro/scope.hpp>
#include <whence/net/connect.hpp>
#include <whence/net/listener.hpp>
#include <whence/sim/schedule.hpp>
#include <whence/sim/world.hpp>

#include <array>
#include <cstdlib>
#include <vector>

using namespace whence;

namespace {

constexpr double message_time_max = 5'000;  // ns: 200,000 a second
constexpr std::size_t messages = 64'000;    // each way, in a round

task<> echo(connection conn)
{
    while (auto part = co_await conn.receive())
        co_await conn.write(part);
}

task<> serve(std::size_t clients)
{
    listener here = listener::bind("10.0.0.1:7");
    scope sessions;
    for (std::size_t i = 0; i < clients; ++i) {
        connection conn = co_await here.accept();
        sessions.spawn(echo(std::move(conn)));
    }
    co_await sessions.join();
}

task<> talk(std::size_t count)
{
    connection conn = co_await connect(*endpoint::parse("10.0.0.1:7"));
    std::array<std::byte, 64> message{};
    for (std::size_t i = 0; i < count; ++i) {
        co_await conn.write(const_bytes{message});
        co_await conn.read_exact(message);
    }
}

task<> talk_all(std::size_t clients)
{
    scope all;
    for (std::size_t i = 0; i < clients; ++i)
        all.spawn(talk(messages / clients));
    co_await all.join();
}

std::vector<double> time_echo(int rounds, std::size_t clients)
{
    std::vector<double> each;
    for (int round = 0; round < rounds; ++round) {
        sim::world world{{.seed = static_cast<u64>(round)}};
        world.add_host("server", {"10.0.0.1"}).start(serve(clients));
        world.add_host("client", {"10.0.0.2"}).start(talk_all(clients));
        const double begin = bench::thread_time();
        world.run();
        each.push_back(bench::per_repeat(begin, 2 * messages));
    }
    return each;
}

std::vector<double> time_schedule(int rounds)
{
    sim::internal::schedule<u64> events;
    sim::random chance{1};
    for (u64 i = 0; i < 64; ++i)
        events.at(time_point{nanoseconds(chance.below(1'000'000))}, i);
    return bench::time(rounds, messages, [&] {
        const time_point due = *events.next_due();
        events.at(due + nanoseconds(chance.below(1'000'000)), events.take());
    });
}

}  // namespace

int main(int count, char** arguments)
{
    const int rounds = count > 1 ? std::atoi(arguments[1]) : 11;
    bench::table table{"a simulated message"};
    table.row("an event ordered, taken: 64 waiting", time_schedule(rounds));
    table.row("echo of 64 bytes, 1 connection", time_echo(rounds, 1), {.limit = message_time_max});
    table.row("echo of 64 bytes, 64 connections", time_echo(rounds, 64),
              {.limit = message_time_max});
    return table.status();
}

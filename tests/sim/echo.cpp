#include "scenarios.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/coro/scope.hpp>
#include <whence/whence.hpp>

#include <vector>

using namespace whence;

namespace sim_tests {

namespace {

constexpr const char* server_at = "10.0.0.1:7";

task<> echo(connection& conn)
{
    while (auto part = co_await conn.receive())
        co_await conn.write(part);
}

task<> serve_echo()
{
    std::vector<listener> listeners;
    listeners.push_back(listener::bind(server_at));
    co_await serve(std::move(listeners),
                   make_application(pipeline(time_limits{{.idle_time_max = idle_time_max}}, echo)));
}

/// Is the byte that stands at a place of a stream: whoever moves, drops or repeats one is found.
std::byte byte_at(u64 stream, u64 place)
{
    return static_cast<std::byte>((place * 2654435761u + stream * 40503u) >> 8);
}

task<> send_all(sim::world& world, connection& conn, u64 stream, u64 size)
{
    sim::random& chance = world.chance();
    std::vector<std::byte> piece;
    for (u64 at = 0; at < size; at += piece.size()) {
        piece.resize(std::min(size - at, chance.between(1, chance.chance(0.1) ? 60'000 : 900)));
        for (std::size_t i = 0; i < piece.size(); ++i)
            piece[i] = byte_at(stream, at + i);
        auto writing = as_result(conn.write(const_bytes{piece}));
        const std::error_code failed = co_await writing;
        if (failed)
            co_return;
        if (chance.chance(0.1))
            co_await sleep_for(chance.between(0ns, 5ms));
    }
    conn.shutdown();
}

task<> talk(sim::world& world, u64 stream, bool calm)
{
    sim::random& chance = world.chance();
    const u64 size = chance.below(chance.chance(0.2) ? 200'000 : 5'000);
    const bool gives_up = !calm && chance.chance(0.2);
    const deadline waiting{patience};
    auto connecting = as_result(connect(*endpoint::parse(server_at)));
    result<connection> connected = co_await connecting;
    require(connected.has_value() || !calm, "a connect failed in calm weather");
    if (!connected)
        co_return;
    connection conn = std::move(*connected);
    u64 received = 0;
    bool clean = false;
    auto talking = in_scope([&](scope& sending) -> task<> {
        sending.spawn(send_all(world, conn, stream, size));
        while (!gives_up || received < size / 2) {
            auto receiving = as_result(conn.receive());
            const result<chunk> part = co_await receiving;
            clean = part.has_value() && !*part && now() - conn.made_at() < idle_time_max;
            if (!part || !*part)
                break;
            for (const std::byte each : part->bytes()) {
                if (each != byte_at(stream, received++))
                    throw std::runtime_error("byte " + std::to_string(received - 1) +
                                             " is a wrong one");
            }
            if (chance.chance(0.05))
                co_await sleep_for(chance.between(0ns, 10ms));
        }
        sending.stop();
    });
    co_await talking;
    require(received <= size, "more came back than was sent");
    if (calm || clean)
        require(received == size, "only " + std::to_string(received) + " of " +
                                      std::to_string(size) + " bytes came back");
    if (gives_up)
        conn.abort();
}

task<> talks(sim::world& world, u64 first, bool calm)
{
    auto talking = in_scope([&](scope& all) -> task<> {
        const u64 count = world.chance().between(1, 5);
        for (u64 i = 0; i < count; ++i)
            all.spawn(talk(world, first + i, calm));
        co_return;
    });
    co_await talking;
}

}  // namespace

void play_echo(sim::world& world, const weather& today)
{
    sim::host_options small{.addresses = {"10.0.0.1"}};
    small.io.buffers_count = world.chance().chance(0.5) ? 2 : 64;
    sim::host& server = world.add_host("server", small);
    std::vector<sim::host*> clients{&world.add_host("client", {"10.0.1.5"}),
                                    &world.add_host("other client", {"10.0.1.6"})};
    server.start(serve_echo());
    for (std::size_t i = 0; i < clients.size(); ++i)
        clients[i]->start(talks(world, 100 * i, today.calm));
    trouble(world, server, clients, today);
    run_to_the_end(world, server, clients);
}

}  // namespace sim_tests

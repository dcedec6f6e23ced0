#include "scenarios.hpp"

#include <algorithm>

using namespace whence;

namespace sim_tests {

weather weather_of(u64 seed)
{
    sim::random drawn{seed * 2 + 1};
    weather today;
    sim::network_options& net = today.network;
    net.latency_max = net.latency_min + milliseconds(drawn.between(0, 20));
    net.cut_chance = drawn.chance(0.5) ? 0.25 : 0.9;
    net.segment_size_max = drawn.chance(0.3) ? 7 : 16 * 1024;
    net.send_buffer = drawn.chance(0.3) ? 512 : 64 * 1024;
    net.receive_buffer = drawn.chance(0.3) ? 300 : 64 * 1024;
    today.calm = drawn.chance(0.3);
    if (today.calm)
        return today;
    net.stall_chance = drawn.chance(0.5) ? 0.02 : 0;
    net.reset_chance = drawn.chance(0.5) ? 0.2 : 0;
    net.refuse_chance = drawn.chance(0.3) ? 0.1 : 0;
    net.lose_chance = drawn.chance(0.3) ? 0.1 : 0;
    return today;
}

std::span<const scenario> all_scenarios()
{
    static constexpr scenario all[]{
        {"whoami", play_whoami}, {"echo", play_echo}, {"limits", play_limits}};
    return all;
}

void run_to_the_end(sim::world& world, sim::host& server, std::span<sim::host* const> clients)
{
    constexpr int minutes_max = 24 * 60;
    const auto ended = [](const sim::host* client) { return client->ended(); };
    for (int i = 0; i < minutes_max && !std::ranges::all_of(clients, ended); ++i)
        world.run_for(60s);
    server.ask_to_drain();
    world.run();
}

void trouble(sim::world& world, sim::host& server, std::span<sim::host* const> clients,
             const weather& today)
{
    sim::random& chance = world.chance();
    if (today.calm)
        return;
    for (sim::host* const client : clients) {
        const nanoseconds when = chance.between(0ns, 500ms);
        if (chance.chance(0.2)) {
            world.at(when, [client] { client->kill(); });
        } else if (chance.chance(0.2)) {
            world.at(when, [client] { client->switch_off(); });
        } else if (chance.chance(0.2)) {
            world.at(when, [&world, &server, client] { world.part(server, *client); });
            world.at(when + chance.between(0ns, 100s),
                     [&world, &server, client] { world.join(server, *client); });
        }
    }
}

std::string printable(sim::random& chance, std::size_t size)
{
    std::string text(size, ' ');
    for (char& each : text)
        each = static_cast<char>(chance.between('a', 'z'));
    return text;
}

}  // namespace sim_tests

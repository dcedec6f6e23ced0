#pragma once

#include <whence/sim/world.hpp>

#include <span>
#include <stdexcept>
#include <string>

namespace sim_tests {

/// Is a world's weather: what its network does to whoever uses it.
struct weather {
    whence::sim::network_options network;
    bool calm = true;  // nothing is lost, refused or reset: everybody gets all that is theirs
};

weather weather_of(whence::u64 seed);

/// Is the silence after which the servers end a session, with FIN: longer than any but a cut path.
inline constexpr whence::nanoseconds idle_time_max = std::chrono::seconds{60};

/// Is how long a client waits: a reset that is lost on a parted path leaves it with a peer that has
/// gone.
inline constexpr whence::nanoseconds patience = std::chrono::minutes{10};

/// Plays one kind of server and its clients in a world; throws what is wrong.
struct scenario {
    const char* name;
    void (*play)(whence::sim::world& world, const weather& today);
};

std::span<const scenario> all_scenarios();

void play_whoami(whence::sim::world& world, const weather& today);
void play_echo(whence::sim::world& world, const weather& today);
void play_limits(whence::sim::world& world, const weather& today);

/// Runs the clients to their end, then drains the server and runs that to its end.
void run_to_the_end(whence::sim::world& world, whence::sim::host& server,
                    std::span<whence::sim::host* const> clients);

/// Kills clients and cuts paths at random times, unless the weather is calm.
void trouble(whence::sim::world& world, whence::sim::host& server,
             std::span<whence::sim::host* const> clients, const weather& today);

inline void require(bool holds, const std::string& what)
{
    if (!holds)
        throw std::runtime_error(what);
}

std::string printable(whence::sim::random& chance, std::size_t size);

}  // namespace sim_tests

#include "scenarios.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/coro/scope.hpp>
#include <whence/proxy_protocol/encode.hpp>
#include <whence/whence.hpp>

#include <array>
#include <vector>

using namespace whence;

namespace sim_tests {

namespace {

constexpr const char* server_at = "10.0.0.1:7000";
constexpr nanoseconds header_time_max = 5s;

std::string introduction(origin how, const endpoint& client, const endpoint& server,
                         const endpoint& peer)
{
    return std::string{to_string(how)} + ' ' + to_string(client) + ' ' + to_string(server) + ' ' +
           to_string(peer) + '\n';
}

task<> introduce(connection& conn)
{
    const std::string line = introduction(conn.origin(), conn.client(), conn.server(), conn.peer());
    co_await conn.write(line);
}

task<> whoami(connection& conn)
{
    co_await introduce(conn);
    while (auto part = co_await conn.receive())
        co_await conn.write(part);
}

task<> serve_whoami()
{
    std::vector<listener> listeners;
    listeners.push_back(listener::bind(server_at));
    proxy_protocol::accept_options header{.trust = {"10.0.1.0/24"}};
    header.header.time_max = header_time_max;
    co_await serve(
        std::move(listeners),
        make_application(pipeline(proxy_protocol::accept{std::move(header)}, access_log{},
                                  time_limits{{.idle_time_max = idle_time_max}}, whoami)));
}

/// Is what one client does, and what it must be told.
struct visit {
    std::string said;     // header and payload
    std::string payload;  // what comes back behind the introduction
    origin how = origin::proxied;
    endpoint source;
    endpoint destination;
    bool refused = false;
    bool late = false;  // takes longer over its header than it may
};

endpoint any_endpoint(sim::random& chance, bool v6)
{
    std::array<std::byte, 16> bytes{};
    for (std::byte& each : bytes)
        each = static_cast<std::byte>(chance.between(1, 254));
    const auto port = static_cast<u16>(chance.between(1, 65535));
    const ip_address address =
        v6 ? ip_address::v6(bytes) : ip_address::v4(std::span{bytes}.first<4>());
    return endpoint{address, port};
}

/// Makes it no header any more: by its first bytes, its checksum or its end.
void spoil(std::string& header, const proxy_protocol::encode_options& with, sim::random& chance)
{
    constexpr std::size_t in_addresses = 20;
    if (with.version == 1 && chance.chance(0.5))
        header.erase(header.size() - 2, 1);  // LF alone
    else if (with.crc32c && chance.chance(0.8))
        header[in_addresses] ^= 1;
    else
        header[chance.below(5)] ^= 0x20;
}

visit any_visit(sim::random& chance, bool trusted)
{
    visit made;
    const bool v6 = chance.chance(0.3);
    made.source = any_endpoint(chance, v6);
    made.destination = any_endpoint(chance, v6);
    proxy_protocol::encode_options with;
    with.version = chance.chance(0.3) ? 1 : 2;
    const std::string name = printable(chance, chance.between(1, 200));
    const std::array<proxy_protocol::tlv, 1> tlvs{
        {{proxy_protocol::tlv_type::authority, std::as_bytes(std::span{name})}}};
    if (with.version == 2 && chance.chance(0.5))
        with.tlvs = tlvs;
    with.crc32c = with.version == 2 && chance.chance(0.3);
    if (with.version == 2 && chance.chance(0.15)) {
        with = {.command = proxy_protocol::command::local};
        made.how = origin::local;
    }
    const auto header = proxy_protocol::encode(made.source, made.destination, with);
    require(header.has_value(), "a header cannot be written");
    made.said.assign(reinterpret_cast<const char*>(header->data()), header->size());
    made.refused = !trusted;
    if (chance.chance(0.1)) {
        spoil(made.said, with, chance);
        made.refused = true;
    } else if (chance.chance(0.1)) {
        made.late = made.refused = true;
    }
    made.payload = printable(chance, chance.below(3000));
    made.said += made.payload;
    return made;
}

/// Says it in pieces, with pauses; all of it, or up to the error that ended the connection.
task<> say(sim::world& world, connection& conn, const visit& wanted)
{
    sim::random& chance = world.chance();
    std::size_t header_left = wanted.said.size() - wanted.payload.size();
    for (std::size_t at = 0; at < wanted.said.size();) {
        std::size_t size = chance.chance(0.5) ? wanted.said.size() - at
                                              : chance.between(1, wanted.said.size() - at);
        if (wanted.late && at < header_left)
            size = std::min(size, header_left - at - 1);
        if (size == 0) {
            co_await sleep_for(header_time_max + 30s);
            header_left = 0;
            continue;
        }
        auto writing = as_result(conn.write(std::string_view{wanted.said}.substr(at, size)));
        const std::error_code failed = co_await writing;
        if (failed)
            co_return;
        at += size;
        if (chance.chance(0.3))
            co_await sleep_for(chance.between(0ns, 3ms));
    }
    conn.shutdown();
}

task<> visit_once(sim::world& world, visit wanted, bool calm)
{
    const deadline waiting{patience};
    auto connecting = as_result(connect(*endpoint::parse(server_at)));
    result<connection> connected = co_await connecting;
    require(connected.has_value() || !calm, "a connect failed in calm weather");
    if (!connected)
        co_return;
    connection conn = std::move(*connected);
    std::string answer;
    bool clean = false;
    auto talking = in_scope([&](scope& saying) -> task<> {
        saying.spawn(say(world, conn, wanted));
        for (;;) {
            auto receiving = as_result(conn.receive());
            const result<chunk> part = co_await receiving;
            clean = part.has_value() && !*part && now() - conn.made_at() < idle_time_max;
            if (!part || !*part)
                break;
            answer += part->text();
        }
        saying.stop();
    });
    co_await talking;
    const std::string whole =
        wanted.how == origin::local
            ? introduction(origin::local, conn.local(), conn.peer(), conn.local()) + wanted.payload
            : introduction(origin::proxied, wanted.source, wanted.destination, conn.local()) +
                  wanted.payload;
    if (wanted.refused)
        require(answer.empty(), "an answer to one who is refused: " + answer);
    else
        require(whole.starts_with(answer), "told \"" + answer + "\" instead of \"" + whole + '"');
    if (!wanted.refused && (calm || clean))
        require(answer == whole, "the end is missing: \"" + answer + "\" of \"" + whole + '"');
}

task<> visits(sim::world& world, bool trusted, bool calm)
{
    sim::random& chance = world.chance();
    auto visiting = in_scope([&](scope& all) -> task<> {
        const u64 count = chance.between(1, 8);
        for (u64 i = 0; i < count; ++i) {
            all.spawn(visit_once(world, any_visit(chance, trusted), calm));
            if (chance.chance(0.5))
                co_await sleep_for(chance.between(0ns, 20ms));
        }
    });
    co_await visiting;
}

}  // namespace

void play_whoami(sim::world& world, const weather& today)
{
    sim::host_options small{.addresses = {"10.0.0.1"}};
    small.io.buffers_count = world.chance().chance(0.5) ? 2 : 64;
    small.starve_chance = world.chance().chance(0.2) ? 0.3 : 0;
    sim::host& server = world.add_host("server", small);
    std::vector<sim::host*> clients{&world.add_host("proxy", {"10.0.1.5"}),
                                    &world.add_host("other proxy", {"10.0.1.6"}),
                                    &world.add_host("stranger", {"10.0.2.7"})};
    server.start(serve_whoami());
    for (sim::host* const client : clients)
        client->start(visits(world, client != clients.back(), today.calm));
    trouble(world, server, clients, today);
    run_to_the_end(world, server, clients);
}

}  // namespace sim_tests

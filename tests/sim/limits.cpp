#include "scenarios.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/coro/scope.hpp>
#include <whence/whence.hpp>

#include <map>
#include <memory>
#include <vector>

using namespace whence;

namespace sim_tests {

namespace {

constexpr const char* server_at = "10.0.0.1:7000";
constexpr u32 each_max = 3;
constexpr u32 all_max = 12;

/// Counts who is there, as the handler sees it; shared, since a play that fails ends before its
/// world, which ends the programs.
struct guest_book {
    std::map<std::string, u32> of_client;
    u32 all = 0;
    std::string wrong;  // what leaves a handler is its session's failure, not the play's
};

class counting {
public:
    explicit counting(std::shared_ptr<guest_book> book) noexcept : book_(std::move(book)) {}

    task<> operator()(connection& conn) const
    {
        u32& mine = book_->of_client[to_string(conn.client().address())];
        struct stay {
            u32& mine;
            u32& all;
            stay(u32& of_client, u32& of_all) : mine(of_client), all(of_all) { ++mine, ++all; }
            ~stay() { --mine, --all; }
        };
        const stay counted{mine, book_->all};
        if (mine > each_max)
            book_->wrong = "one client has too many connections";
        if (book_->all > all_max)
            book_->wrong = "there are too many connections";
        while (auto part = co_await conn.receive())
            co_await conn.write(part);
    }

private:
    std::shared_ptr<guest_book> book_;
};

task<> serve_counting(std::shared_ptr<guest_book> book)
{
    std::vector<listener> listeners;
    listeners.push_back(listener::bind(server_at));
    const client_limits each{{.connections_per_client_max = each_max}};
    const limits all{{.connections_max = all_max}};
    const proxy_protocol::accept gate{{.trust = {"10.0.1.0/24"}}};
    auto app = make_application(pipeline(gate, each, all, access_log{},
                                         time_limits{{.idle_time_max = idle_time_max}},
                                         counting{std::move(book)}));
    co_await serve(std::move(listeners), std::move(app));
}

/// Comes for a client, and stays a while. True: was let in.
task<bool> come(sim::world& world, u32 client)
{
    sim::random& chance = world.chance();
    const deadline waiting{patience};
    auto connecting = as_result(connect(*endpoint::parse(server_at)));
    result<connection> connected = co_await connecting;
    if (!connected)
        co_return false;
    connection conn = std::move(*connected);
    const std::string hello =
        "PROXY TCP4 203.0.113." + std::to_string(client) + " 198.51.100.1 4242 443\r\nx";
    auto writing = as_result(conn.write(hello));
    const std::error_code failed = co_await writing;
    if (failed)
        co_return false;
    auto receiving = as_result(conn.receive());
    result<chunk> part = co_await receiving;
    const bool let_in = part.has_value() && part->text() == "x";
    part = chunk{};
    if (let_in)
        co_await sleep_for(chance.between(0ns, 200ms));
    if (chance.chance(0.3))
        conn.abort();
    co_return let_in;
}

task<> come_once(sim::world& world, u32 client)
{
    auto coming = come(world, client);
    co_await coming;
}

task<> crowd(sim::world& world)
{
    sim::random& chance = world.chance();
    auto coming = in_scope([&](scope& all) -> task<> {
        const u64 count = chance.between(5, 40);
        for (u64 i = 0; i < count; ++i) {
            all.spawn(come_once(world, static_cast<u32>(chance.between(1, 6))));
            if (chance.chance(0.3))
                co_await sleep_for(chance.between(0ns, 50ms));
        }
    });
    co_await coming;
}

/// Finds every place free again once all have gone.
task<> come_again(sim::world& world)
{
    for (u32 client = 1; client <= 6; ++client) {
        auto coming = come(world, client);
        const bool let_in = co_await coming;
        require(let_in, "client " + std::to_string(client) + " has not got its place back");
    }
}

}  // namespace

void play_limits(sim::world& world, const weather& today)
{
    const auto book = std::make_shared<guest_book>();
    sim::host& server = world.add_host("server", {"10.0.0.1"});
    std::vector<sim::host*> clients{&world.add_host("proxy", {"10.0.1.5"}),
                                    &world.add_host("other proxy", {"10.0.1.6"})};
    sim::host& last = world.add_host("last proxy", {"10.0.1.7"});
    server.start(serve_counting(book));
    for (sim::host* const client : clients)
        client->start(crowd(world));
    trouble(world, server, clients, today);
    // The silent ones are gone behind their time limits.
    world.run_for(1h);
    require(book->wrong.empty(), book->wrong);
    require(book->all == 0, "somebody is still there");
    world.connect(server, last, {});
    last.start(come_again(world));
    sim::host* const at_last[]{&last};
    run_to_the_end(world, server, at_last);
}

}  // namespace sim_tests

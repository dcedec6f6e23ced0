#include <whence/sim/world.hpp>

#include <whence/coro/deadline.hpp>
#include <whence/middleware/pipeline.hpp>
#include <whence/net/connect.hpp>
#include <whence/net/listener.hpp>
#include <whence/net/serve.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <string>
#include <vector>

using namespace whence;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr const char* server_at = "10.0.0.1:7000";

endpoint at(const char* text)
{
    return *endpoint::parse(text);
}

task<> echo(connection& conn)
{
    while (auto part = co_await conn.receive())
        co_await conn.write(part);
}

task<> serve_echo()
{
    std::vector<listener> listeners;
    listeners.push_back(listener::bind(server_at));
    co_await serve(std::move(listeners), make_application(pipeline(&echo)));
}

/// Says `text` and gives what comes back, as much.
task<std::string> say(std::string text)
{
    connection conn = co_await connect(at(server_at));
    co_await conn.write(text);
    std::string back(text.size(), '\0');
    co_await conn.read_exact(std::as_writable_bytes(std::span{back}));
    co_return back;
}

task<> say_and_drain(sim::host& server, std::string text, std::string& back)
{
    back = co_await say(std::move(text));
    server.ask_to_drain();
}

/// Gives how a connect ended.
task<> try_to_connect(const char* to, std::error_code& error)
{
    auto connecting = as_result(connect(at(to)));
    const result<connection> connected = co_await connecting;
    error = connected ? std::error_code{} : connected.error();
}

/// Accepts one connection, keeps it, and tells how its stream ended.
task<> take_one(std::error_code& ended, keep_alive_options alive = {})
{
    listener here = listener::bind(server_at, {.keep_alive = alive});
    connection conn = co_await here.accept();
    for (;;) {
        auto receiving = as_result(conn.receive());
        const result<chunk> part = co_await receiving;
        if (!part) {
            ended = part.error();
            co_return;
        }
        if (!*part)
            co_return;
    }
}

/// Connects, says one byte and stays until it is told to go.
task<> come_and_stay()
{
    connection conn = co_await connect(at(server_at));
    co_await conn.write("x");
    co_await sleep_for(24h);
}

/// Holds a server and a client who have not begun.
struct two_hosts {
    explicit two_hosts(const sim::world_options& options = {}) : world(options) {}

    sim::world world;
    sim::host& server = world.add_host("server", {"10.0.0.1"});
    sim::host& client = world.add_host("client", {"10.0.0.2"});
};

}  // namespace

TEST_CASE("a simulated client talks to a simulated server", "[sim]")
{
    const std::string text(20'000, 'x');
    for (u64 seed = 1; seed <= 50; ++seed) {
        two_hosts here{{.seed = seed}};
        std::string back;
        here.server.start(serve_echo());
        here.client.start(say_and_drain(here.server, text, back));
        here.world.run();
        CHECK(back == text);
    }
}

TEST_CASE("the same seed is the same run", "[sim]")
{
    const auto traced = [](u64 seed) {
        std::string all;
        two_hosts here{{.seed = seed}};
        here.world.set_trace([&](std::string_view line) { all.append(line).append("\n"); });
        std::string back;
        here.server.start(serve_echo());
        here.client.start(say_and_drain(here.server, std::string(5'000, 'x'), back));
        here.world.run();
        return std::pair{all, here.world.digest()};
    };
    CHECK(traced(7) == traced(7));
    CHECK(traced(7).first != traced(8).first);
    CHECK(traced(7).second != traced(8).second);
}

TEST_CASE("a day passes at once", "[sim]")
{
    sim::world world;
    sim::host& one = world.add_host("one", std::vector<std::string>{});
    one.start([]() -> task<> {
        const time_point before = now();
        co_await sleep_for(23h);
        CHECK(now() - before >= 23h);
    }());
    world.run();
    CHECK(world.elapsed() >= 23h);
    CHECK(world.elapsed() < 23h + 1s);
}

TEST_CASE("a connect fails for the reason that there is", "[sim]")
{
    std::error_code error;
    {
        two_hosts here;
        here.client.start(try_to_connect("10.0.0.1:9", error));
        here.world.run();
        CHECK(error == std::errc::connection_refused);
        CHECK(here.world.elapsed() < 10ms);
    }
    {
        two_hosts here;
        here.client.start(try_to_connect("10.9.9.9:9", error));
        here.world.run();
        CHECK(error == std::errc::network_unreachable);
    }
    {
        two_hosts here;
        here.server.switch_off();
        here.client.start(try_to_connect(server_at, error));
        here.world.run();
        CHECK(error == std::errc::timed_out);
        CHECK(here.world.elapsed() >= 127s);
        CHECK(here.world.elapsed() < 128s);
    }
    {
        two_hosts here{{.network = {.refuse_chance = 1}}};
        here.server.start(serve_echo());
        here.client.start(try_to_connect(server_at, error));
        here.world.run_for(1s);
        CHECK(error == std::errc::connection_refused);
    }
}

TEST_CASE("a request that is lost is sent again", "[sim]")
{
    two_hosts here;
    std::error_code error = std::make_error_code(std::errc::timed_out);
    here.server.start(serve_echo());
    here.world.part(here.server, here.client);
    here.client.start(try_to_connect(server_at, error));
    here.world.at(2s, [&] { here.world.join(here.server, here.client); });
    here.world.run_for(5s);
    CHECK(!error);
    here.server.ask_to_drain();
    here.world.run();
}

TEST_CASE("what a parted path holds back comes when it is joined", "[sim]")
{
    two_hosts here;
    std::string back;
    here.server.start(serve_echo());
    here.client.start(say_and_drain(here.server, std::string(150'000, 'x'), back));
    here.world.at(1ms, [&] { here.world.part(here.server, here.client); });
    here.world.at(60s, [&] { here.world.join(here.server, here.client); });
    here.world.run();
    CHECK(back.size() == 150'000);
    CHECK(here.world.elapsed() > 60s);
}

TEST_CASE("probes find a peer without power", "[sim]")
{
    two_hosts here;
    std::error_code ended;
    here.server.start(take_one(ended, {.idle = 30s, .interval = 10s, .count = 3}));
    here.client.start(come_and_stay());
    here.world.at(1s, [&] { here.client.switch_off(); });
    here.world.run();
    CHECK(ended == std::errc::timed_out);
    CHECK(here.world.elapsed() >= 61s);
    CHECK(here.world.elapsed() < 62s);
}

TEST_CASE("a host without power answers nobody", "[sim]")
{
    two_hosts here;
    std::error_code ignored;
    std::error_code ended;
    here.server.start(take_one(ignored, {.idle = 0s}));
    here.client.start([](sim::world& world, std::error_code& told) -> task<> {
        connection conn = co_await connect(at(server_at));
        while (!told) {
            auto writing = as_result(conn.write("x"));
            told = co_await writing;
            co_await sleep_for(10s);
        }
        CHECK(world.elapsed() > 900s);
    }(here.world, ended));
    here.world.at(1s, [&] { here.server.switch_off(); });
    here.world.run();
    CHECK(ended == std::errc::timed_out);
}

TEST_CASE("a reset does not cross a parted path", "[sim]")
{
    two_hosts here;
    std::error_code told;
    here.server.start([]() -> task<> {
        listener there = listener::bind(server_at);
        connection conn = co_await there.accept();
        co_await sleep_for(2s);
        conn.abort();
    }());
    here.client.start([](sim::world& world, std::error_code& error) -> task<> {
        connection conn = co_await connect(at(server_at));
        while (!error) {
            co_await sleep_for(1s);
            auto writing = as_result(conn.write("x"));
            error = co_await writing;
        }
        CHECK(world.elapsed() >= 60s);
    }(here.world, told));
    here.world.at(1s, [&] { here.world.part(here.server, here.client); });
    here.world.at(60s, [&] { here.world.join(here.server, here.client); });
    here.world.run();
    CHECK(told == std::errc::connection_reset);
}

TEST_CASE("two hosts may have a network of their own, and ports are given once", "[sim]")
{
    two_hosts here;
    here.world.connect(here.server, here.client, {.latency_min = 100ms, .latency_max = 100ms});
    here.server.start(serve_echo());
    here.client.start([](sim::host& server) -> task<> {
        const listener there = listener::bind("10.0.0.2:32770");
        for (int i = 0; i < 5; ++i) {
            const time_point begun = now();
            const connection conn = co_await connect(at(server_at));
            CHECK(now() - begun >= 200ms);
            CHECK(conn.local().port() != there.local().port());
        }
        server.ask_to_drain();
    }(here.server));
    here.world.run();
}

TEST_CASE("a killed program's sockets are closed by its system, and it can be started again",
          "[sim]")
{
    two_hosts here;
    std::error_code ended;
    here.server.start(take_one(ended));
    here.client.start(come_and_stay());
    here.world.at(1s, [&] { here.client.kill(); });
    here.world.run();
    CHECK(!ended);  // a clean end: the system of the killed one has sent FIN
    CHECK(here.world.elapsed() < 2s);

    std::string back;
    here.server.start(serve_echo());
    here.client.start(say_and_drain(here.server, "again", back));
    here.world.run();
    CHECK(back == "again");
}

TEST_CASE("a connection is reset at one of its bytes", "[sim]")
{
    int resets = 0;
    for (u64 seed = 1; seed <= 20; ++seed) {
        two_hosts here{{.seed = seed, .network = {.reset_chance = 1, .reset_within = 1000}}};
        here.server.start(serve_echo());
        here.client.start([](sim::host& server, int& count) -> task<> {
            try {
                co_await say(std::string(2'000, 'x'));
            } catch (const std::system_error&) {
                ++count;
            }
            server.ask_to_drain();
        }(here.server, resets));
        here.world.run();
    }
    CHECK(resets == 20);
}

TEST_CASE("descriptors run out, and come back", "[sim]")
{
    two_hosts here;
    here.server.options().descriptors_max = 2;  // a listener and one connection
    std::string first;
    std::string second;
    here.server.start(serve_echo());
    here.client.start([](std::string& one, std::string& other) -> task<> {
        one = co_await say("one");
        other = co_await say("other");
    }(first, second));
    here.world.run_for(10s);
    CHECK(first == "one");
    CHECK(second == "other");
    here.server.ask_to_drain();
    here.world.run();
}

TEST_CASE("an operation fails on order", "[sim]")
{
    sim::world world;
    sim::host& one = world.add_host("one", sim::host_options{.fail_operation = 2, .fail_with = 12});
    one.start([]() -> task<> {
        listener here = listener::bind("127.0.0.1:0");
        connection conn = co_await connect(here.local());
        auto writing = as_result(conn.write("x"));
        const std::error_code error = co_await writing;
        CHECK(error == std::errc::not_enough_memory);
    }());
    world.run();
}

TEST_CASE("receives that find no buffer wait for one", "[sim]")
{
    sim::world world;
    sim::host& server = world.add_host(
        "server", sim::host_options{.addresses = {"10.0.0.1"}, .starve_chance = 0.5});
    sim::host& client = world.add_host("client", {"10.0.0.2"});
    std::string back;
    server.start(serve_echo());
    client.start(say_and_drain(server, std::string(200'000, 'x'), back));
    world.run();
    CHECK(back.size() == 200'000);
    CHECK(server.here().io().metrics().starved.value() > 3);
}

TEST_CASE("a cancellation may come too late", "[sim]")
{
    int lost = 0;
    int won = 0;
    for (u64 seed = 1; seed <= 200; ++seed) {
        two_hosts here{{.seed = seed}};
        here.server.start(serve_echo());
        here.client.start([](sim::host& server, int& too_late, int& in_time) -> task<> {
            connection conn = co_await connect(at(server_at));
            co_await conn.write("x");
            {
                const time_point begun = now();
                const deadline soon{400us};
                auto receiving = as_result(conn.receive());
                const result<chunk> got = co_await receiving;
                if (!got)
                    ++in_time;
                else if (now() - begun > 410us)
                    ++too_late;
            }
            server.ask_to_drain();
        }(here.server, lost, won));
        here.world.run();
    }
    CHECK(lost > 0);
    CHECK(won > 0);
}

TEST_CASE("bytes that win against a cancellation are kept", "[sim]")
{
    for (u64 seed = 1; seed <= 200; ++seed) {
        two_hosts here{{.seed = seed}};
        std::string kept;
        here.server.start(serve_echo());
        here.client.start([](sim::host& server, std::string& all) -> task<> {
            connection conn = co_await connect(at(server_at));
            co_await conn.write("x");
            {
                const deadline soon{400us};
                auto filling = as_result(conn.fill());
                const result<std::size_t> filled = co_await filling;
                static_cast<void>(filled);
            }
            conn.shutdown();
            while (auto part = co_await conn.receive())
                all += part.text();
            server.ask_to_drain();
        }(here.server, kept));
        here.world.run();
        REQUIRE(kept == "x");
    }
}

TEST_CASE("logs are the host's", "[sim]")
{
    sim::world world;
    sim::host& one = world.add_host("one", sim::host_options{.short_write_chance = 0.5});
    one.start([]() -> task<> {
        for (int i = 0; i < 100; ++i) {
            runtime::current().errors().line("to stderr");
            runtime::current().output().line("to stdout");
            co_await sleep_for(1ms);
        }
    }());
    world.run();
    CHECK(one.errors().size() == 100 * std::string_view{"to stderr\n"}.size());
    CHECK(one.output().substr(0, 20) == "to stdout\nto stdout\n");
}

TEST_CASE("what is left behind is a failure that names the seed", "[sim]")
{
    SECTION("a program that waits for ever, with the place where it waits")
    {
        two_hosts here{{.seed = 5}};
        std::error_code ended;
        here.server.start(take_one(ended));
        CHECK_THROWS_WITH(here.world.run(), ContainsSubstring("seed 5") &&
                                                ContainsSubstring("at server") &&
                                                ContainsSubstring("world.cpp"));
    }
    SECTION("a descriptor")
    {
        sim::world world;
        sim::host& one = world.add_host("one", std::vector<std::string>{});
        one.start([]() -> task<> {
            open_stream_socket(at("127.0.0.1:1")).release();
            co_return;
        }());
        CHECK_THROWS_WITH(world.run(), ContainsSubstring("one has left 1 descriptors open"));
    }
    SECTION("a program that turns for ever")
    {
        sim::world world{{.turns_max = 1'000}};
        sim::host& one = world.add_host("one", std::vector<std::string>{});
        one.start([]() -> task<> {
            for (;;)
                co_await sleep_for(1ms);
        }());
        CHECK_THROWS_WITH(world.run(), ContainsSubstring("after 1000 turns"));
    }
}

TEST_CASE("what a simulated program throws is the run's failure", "[sim]")
{
    sim::world world;
    sim::host& one = world.add_host("one", std::vector<std::string>{});
    one.start([]() -> task<> {
        co_await sleep_for(1s);
        throw std::logic_error("a wrong turn");
    }());
    CHECK_THROWS_AS(world.run(), std::logic_error);
}

TEST_CASE("a runtime runs by itself over a world of its own", "[sim]")
{
    runtime here{sim::open_driver()};
    bool done = false;
    here.run([](bool& said) -> task<> {
        listener there = listener::bind("[::1]:0");
        connection client = co_await connect(there.local());
        connection server = co_await there.accept();
        CHECK(server.peer() == client.local());
        co_await client.write("hello");
        const chunk got = co_await server.receive();
        CHECK(got.text() == "hello");
        co_await sleep_for(1h);
        said = true;
    }(done));
    CHECK(done);
}

#include <whence/sim/world.hpp>

#include <whence/coro/deadline.hpp>
#include <whence/net/connect.hpp>
#include <whence/net/listener.hpp>
#include <whence/middleware/pipeline.hpp>
#include <whence/net/serve.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

using namespace whence;

namespace {

task<> echo(connection& conn)
{
    for (;;) {
        const chunk got = co_await conn.receive();
        if (!got)
            co_return;
        co_await conn.write(got);
    }
}

task<> serve_echo(std::string at)
{
    std::vector<listener> listeners;
    listeners.push_back(listener::bind(at));
    co_await serve(std::move(listeners), make_application(pipeline(&echo)));
}

/// Says `text` and takes as much back.
task<std::string> say(std::string to, std::string text)
{
    connection conn = co_await connect(*endpoint::parse(to));
    co_await conn.write(text);
    std::string back(text.size(), '\0');
    co_await conn.read_exact(std::as_writable_bytes(std::span{back}));
    co_return back;
}

task<> say_and_keep(std::string to, std::string text, std::string& back, sim::host& server)
{
    back = co_await say(std::move(to), std::move(text));
    server.ask_to_drain();
}

}  // namespace

TEST_CASE("a simulated client talks to a simulated server", "[sim]")
{
    for (u64 seed = 1; seed <= 50; ++seed) {
        sim::world world{{.seed = seed}};
        sim::host& server = world.add_host("server", {"10.0.0.1"});
        sim::host& client = world.add_host("client", {"10.0.0.2"});
        std::string back;
        std::string text(20'000, 'x');
        for (std::size_t i = 0; i < text.size(); ++i)
            text[i] = static_cast<char>('a' + i % 26);
        server.start(serve_echo("10.0.0.1:7000"));
        client.start(say_and_keep("10.0.0.1:7000", text, back, server));
        world.run();
        CHECK(back == text);
    }
}

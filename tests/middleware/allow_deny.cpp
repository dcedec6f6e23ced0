#include <whence/middleware/allow_deny.hpp>

#include "support/run_server.hpp"

#include <whence/middleware/accept_header.hpp>
#include <whence/middleware/pipeline.hpp>

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

using namespace whence;
using support::ask;
using support::echo;
using support::run_here;
using support::with_server;

namespace {

const std::string listed = "PROXY TCP4 192.0.2.7 198.51.100.1 4242 443\r\n";
const std::string mapped = "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 4242 443\r\n";
const std::string other = "PROXY TCP4 192.0.3.7 198.51.100.1 4242 443\r\n";
const std::string unknown = "PROXY UNKNOWN\r\n";
const std::string local{"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16};

/// Tells for each header whether a client with it is served.
template <class Gate>
std::vector<bool> served(const Gate& gate, const std::vector<std::string>& headers)
{
    std::vector<bool> answers;
    run_here([&]() -> task<> {
        auto app = pipeline(proxy_protocol::accept({.trust = {"127.0.0.1"}}), gate, echo);
        co_await with_server(std::move(app), [&](endpoint address) -> task<> {
            for (const std::string& header : headers) {
                const std::string answer = co_await ask(address, header + "hello");
                answers.push_back(answer == "hello");
            }
        });
    });
    return answers;
}

}  // namespace

TEST_CASE("only clients of an allow-list are served", "[middleware]")
{
    // The proxy is 127.0.0.1: to list it helps nobody.
    const client_list list{"192.0.2.0/24", "127.0.0.0/8"};
    CHECK(served(allow{list}, {listed, mapped, other, unknown, local}) ==
          std::vector{true, true, false, false, false});
    CHECK(served(allow{list, true}, {listed, other, unknown, local}) ==
          std::vector{true, false, false, true});
    CHECK(served(allow{{}}, {listed, other}) == std::vector{false, false});
}

TEST_CASE("clients of a deny-list are not served, and nobody's connections are", "[middleware]")
{
    const client_list list{"192.0.2.0/24", "127.0.0.0/8"};
    CHECK(served(deny{list}, {listed, mapped, other, unknown, local}) ==
          std::vector{false, false, true, true, true});
}

TEST_CASE("a refusal names the client, not only its proxy", "[middleware]")
{
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    const int before = dup(2);
    dup2(ends[1], 2);
    served(deny{{"192.0.2.0/24"}}, {listed});
    dup2(before, 2);
    std::array<char, 1000> text{};
    const ssize_t size = read(ends[0], text.data(), text.size());
    for (const int end : {ends[0], ends[1], before})
        close(end);
    const std::string line{text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
    CHECK(line.starts_with(
        R"({"event":"refused","reason":"denied","client":"192.0.2.7:4242","peer":"127.0.0.1:)"));
}

TEST_CASE("a change concerns new connections", "[middleware]")
{
    run_here([]() -> task<> {
        client_list list;
        co_await with_server(pipeline(deny{list}, echo), [&list](endpoint address) -> task<> {
            connection running = co_await connect(address);
            co_await running.write("1");
            const chunk first = co_await running.receive();
            CHECK(first.text() == "1");
            const std::array<std::string, 1> all{"127.0.0.0/8"};
            list.replace(all);
            const std::string fresh = co_await ask(address, "hello");
            CHECK(fresh == "reset");
        });
    });
}

TEST_CASE("UNIX peers are listed by user", "[middleware][kernel]")
{
    const std::string me = "unix:uid=" + std::to_string(getuid());
    const auto answer_of = [](auto gate) {
        std::string answer;
        run_here([&]() -> task<> {
            std::vector<listener> listeners;
            listeners.push_back(
                listener::bind("unix:@whence-allow-deny-" + std::to_string(getpid())));
            const endpoint address = listeners.front().local();
            scope server;
            server.spawn(serve(std::move(listeners), pipeline(gate, echo)));
            answer = co_await ask(address, "hello");
            runtime::current().drain().set();
            co_await server.join();
        });
        return answer;
    };
    CHECK(answer_of(allow{{me}}) == "hello");
    CHECK(answer_of(allow{{"0.0.0.0/0", "::/0"}}) == "reset");
    CHECK(answer_of(deny{{me}}) == "reset");
    CHECK(answer_of(deny{{"0.0.0.0/0"}}) == "hello");
}

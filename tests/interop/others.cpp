#include "interop/proxies.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <unistd.h>

using namespace support;
using nlohmann::json;

namespace {

const std::string payload = std::string{"bytes of the client\r\n"} + '\0' + "PROXY\xff and more";

}  // namespace

TEST_CASE("nginx's header names its client", "[interop][nginx]")
{
    const std::string host = GENERATE(as<std::string>{}, "127.0.0.1", "::1");
    CAPTURE(host);
    whoami_server server{{"--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--trust", "127.0.0.1",
                          "--trust", "::1"}};
    nginx proxy{host, server.address(host == "::1" ? 1 : 0)};
    client from = connect_when_ready(proxy.address());
    const std::string who = from.local();
    const conversation said = converse(from, payload);
    INFO(proxy.program().errors_text());
    REQUIRE(said.answer.is_object());
    CHECK(said.answer.at("client") == who);
    CHECK(said.answer.at("server") == proxy.address());
    CHECK(said.answer.at("origin") == "proxied");
    CHECK(said.answer.at("version") == 1);
    CHECK(said.answer.at("family") == (host == "::1" ? "INET6" : "INET"));
    CHECK(said.echo == payload);
    CHECK(said.how == ending::closed);
    CHECK(server.count_of("refused") == 0);
}

TEST_CASE("many clients behind nginx keep their addresses", "[interop][nginx]")
{
    whoami_server server{trusting()};
    nginx proxy{"127.0.0.1", server.address()};
    connect_when_ready(proxy.address()).reset();
    std::vector<client> clients;
    for (int i = 0; i < 50; ++i) {
        clients.emplace_back(proxy.address(),
                             client_options{.source = "127.0.3." + std::to_string(1 + i)});
        clients.back().send(clients.back().local());
        clients.back().finish();
    }
    for (client& one : clients) {
        const std::string who = one.local();
        const conversation said = read_conversation(one);
        REQUIRE(said.answer.is_object());
        CHECK(said.answer.at("client") == who);
        CHECK(said.echo == who);
    }
}

TEST_CASE("nginx's header comes over a UNIX socket", "[interop][nginx]")
{
    const temporary_directory folder;
    const std::string address = "unix:" + (folder / "socket");
    whoami_server server{
        {"--listen", address, "--trust", "unix:uid=" + std::to_string(::getuid())}};
    nginx proxy{"127.0.0.1", address};
    client from = connect_when_ready(proxy.address());
    const std::string who = from.local();
    const conversation said = converse(from, payload);
    INFO(proxy.program().errors_text());
    REQUIRE(said.answer.is_object());
    CHECK(said.answer.at("client") == who);
    CHECK(said.answer.at("local") == address);
    CHECK(said.echo == payload);
}

TEST_CASE("curl's header names curl", "[interop][curl]")
{
    const std::string host = GENERATE(as<std::string>{}, "127.0.0.1:0", "[::1]:0");
    CAPTURE(host);
    whoami_server server{{"--listen", host, "--trust", "127.0.0.1", "--trust", "::1"}};
    // whoami speaks no HTTP: curl takes its answer for HTTP/0.9, which has no end but the close.
    process curl{{find_program("curl", "curl"), "--silent", "--no-buffer", "--noproxy", "*",
                  "--http0.9", "--haproxy-protocol", "--globoff",
                  "http://" + server.address() + "/some/path"}};
    const auto line = curl.wait_for_output(holds({"\"client\":"}));
    INFO(curl.errors_text());
    REQUIRE(line);
    const json answer = json::parse(*line);
    // Itself, as there is nobody in between.
    CHECK(answer.at("client") == answer.at("peer"));
    CHECK(answer.at("server") == server.address());
    CHECK(answer.at("origin") == "proxied");
    CHECK(answer.at("version") == 1);
    CHECK(curl.wait_for_output(holds({"GET /some/path HTTP/1.1"})));
    CHECK(curl.wait_for_output(holds({"Host: " + server.address()})));
}

TEST_CASE("absent software is a failure that names its package", "[interop]")
{
    CHECK_THROWS_WITH(find_program("no-such-proxy", "some-package"),
                      Catch::Matchers::ContainsSubstring("install the package some-package"));
}

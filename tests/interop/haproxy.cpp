#include "interop/proxies.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <thread>

#include <unistd.h>

using namespace support;
using nlohmann::json;

namespace {

const std::string payload = std::string{"bytes of the client\r\n"} + '\0' + "PROXY\xff and more";
const std::string pretend_client = "    tcp-request connection set-src ipv4(203.0.113.7)\n"
                                   "    tcp-request connection set-src-port int(4242)\n";

void check_healthy(const whoami_server& server, haproxy& proxy)
{
    CHECK(proxy.server_column("status") == "UP");
    CHECK(proxy.server_column("chkfail") == "0");
    CHECK(proxy.server_column("chkdown") == "0");
    CHECK(server.count_of("refused") == 0);
    CHECK(server.count_of("session_failed") == 0);
    CHECK(server.count_of("accept_failed") == 0);
}

}  // namespace

TEST_CASE("HAProxy's version 1 header names its client", "[interop][haproxy]")
{
    whoami_server server{trusting()};
    haproxy proxy{{.server = server.address(), .server_words = "send-proxy"}};
    client from{proxy.address()};
    const std::string who = from.local();
    const conversation said = converse(from, payload);
    REQUIRE(said.answer.is_object());
    CHECK(said.answer.at("client") == who);
    CHECK(said.answer.at("server") == proxy.address());
    CHECK(said.answer.at("peer") != who);
    CHECK(said.answer.at("local") == server.address());
    CHECK(said.answer.at("origin") == "proxied");
    CHECK(said.answer.at("version") == 1);
    CHECK(said.answer.at("command") == "PROXY");
    CHECK(said.answer.at("family") == "INET");
    CHECK(said.answer.at("transport") == "STREAM");
    CHECK(said.answer.at("tlvs") == json::array());
    CHECK(said.echo == payload);
    CHECK(said.how == ending::closed);
}

TEST_CASE("HAProxy's header names whom it is told to", "[interop][haproxy]")
{
    const std::string words = GENERATE(as<std::string>{}, "send-proxy", "send-proxy-v2");
    CAPTURE(words);
    whoami_server server{trusting()};
    haproxy proxy{
        {.server = server.address(), .server_words = words, .frontend_lines = pretend_client}};
    client from{proxy.address()};
    const conversation said = converse(from, payload);
    REQUIRE(said.answer.is_object());
    CHECK(said.answer.at("client") == "203.0.113.7:4242");
    CHECK(said.answer.at("server") == proxy.address());
    CHECK(said.answer.at("origin") == "proxied");
    CHECK(said.answer.at("version") == (words == "send-proxy" ? 1 : 2));
    CHECK(said.echo == payload);
}

TEST_CASE("HAProxy's header names an IPv6 client", "[interop][haproxy]")
{
    const std::string words = GENERATE(as<std::string>{}, "send-proxy", "send-proxy-v2");
    CAPTURE(words);
    whoami_server server{trusting()};
    haproxy proxy{{.server = server.address(), .server_words = words, .host = "::1"}};
    client from{proxy.address()};
    const std::string who = from.local();
    const conversation said = converse(from, payload);
    REQUIRE(said.answer.is_object());
    CHECK(said.answer.at("client") == who);
    CHECK(said.answer.at("server") == proxy.address());
    CHECK(said.answer.at("family") == "INET6");
    CHECK(said.echo == payload);
}

TEST_CASE("HAProxy's header comes over a UNIX socket", "[interop][haproxy]")
{
    const temporary_directory folder;
    const std::string path = folder / "socket";
    const std::string words = GENERATE(as<std::string>{}, "send-proxy", "send-proxy-v2");
    CAPTURE(words);
    whoami_server server{
        {"--listen", "unix:" + path, "--trust", "unix:uid=" + std::to_string(::getuid())}};
    haproxy proxy{
        {.server = "unix@" + path, .server_words = words, .frontend_lines = pretend_client}};
    client from{proxy.address()};
    const conversation said = converse(from, payload);
    REQUIRE(said.answer.is_object());
    CHECK(said.answer.at("client") == "203.0.113.7:4242");
    CHECK(said.answer.at("server") == proxy.address());
    CHECK(said.answer.at("peer") == "unix:");
    CHECK(said.answer.at("local") == "unix:" + path);
    CHECK(said.echo == payload);
}

TEST_CASE("every one of many clients behind HAProxy keeps its address", "[interop][haproxy]")
{
    constexpr int rounds = 25;
    constexpr int at_once = 20;
    whoami_server server{trusting()};
    haproxy proxy{{.server = server.address(),
                   .server_words = "send-proxy-v2 proxy-v2-options crc32c,unique-id",
                   .frontend_lines = "    unique-id-format id-%ci:%cp\n"}};
    for (int round = 0; round < rounds; ++round) {
        std::vector<client> clients;
        for (int i = 0; i < at_once; ++i) {
            clients.emplace_back(proxy.address(),
                                 client_options{.source = "127.0.2." + std::to_string(1 + i)});
            clients.back().send(clients.back().local());
        }
        for (client& one : clients) {
            const std::string who = one.local();
            one.finish();
            const conversation said = read_conversation(one);
            REQUIRE(said.answer.is_object());
            CHECK(said.answer.at("client") == who);
            CHECK(said.echo == who);
            CHECK(said.how == ending::closed);
        }
    }
    CHECK(server.count_of("refused") == 0);
}

TEST_CASE("megabytes through HAProxy come back as they went", "[interop][haproxy]")
{
    whoami_server server{trusting()};
    haproxy proxy{{.server = server.address(), .server_words = "send-proxy-v2"}};
    std::string much(std::size_t{4} << 20, '\0');
    for (std::size_t i = 0; i < much.size(); ++i)
        much[i] = static_cast<char>((i * 2654435761u) >> 13);
    client from{proxy.address()};
    std::thread sending{[&] {
        from.send(much);
        from.finish();
    }};
    const conversation said = read_conversation(from);
    sending.join();
    CHECK(said.answer.is_object());
    CHECK(said.echo.size() == much.size());
    CHECK(said.echo == much);
}

TEST_CASE("HAProxy's health checks are answered as local", "[interop][haproxy]")
{
    whoami_server server{trusting()};
    haproxy proxy{{.server = server.address(),
                   .server_words = "send-proxy-v2 check inter 200ms fall 1 rise 1",
                   .backend_lines = "    option tcp-check\n"
                                    "    tcp-check connect send-proxy\n"
                                    "    tcp-check expect string '\"origin\":\"local\"'\n"}};
    std::size_t checks = 0;
    const auto fifth = [&](const std::string& line) {
        return holds({R"("event":"access")", R"("origin":"local")"})(line) && ++checks == 5;
    };
    CHECK(server.program().wait_for_error(fifth).has_value());
    check_healthy(server, proxy);
    CHECK(proxy.server_column("check_status") == "L7OK");
}

TEST_CASE("health checks that reset at once disturb nobody", "[interop][haproxy]")
{
    const std::string words = GENERATE(as<std::string>{}, "send-proxy", "send-proxy-v2");
    CAPTURE(words);
    whoami_server server{trusting()};
    haproxy proxy{
        {.server = server.address(), .server_words = words + " check inter 50ms fall 1 rise 1"}};
    // The check resets behind its header, often before it is accepted: only time tells that there
    // were some.
    const auto until = std::chrono::steady_clock::now() + milliseconds{700};
    while (std::chrono::steady_clock::now() < until) {
        client from{proxy.address()};
        const std::string who = from.local();
        const conversation said = converse(from, payload);
        REQUIRE(said.answer.is_object());
        CHECK(said.answer.at("client") == who);
        CHECK(said.echo == payload);
    }
    check_healthy(server, proxy);
    CHECK(proxy.server_column("check_status") == "L4OK");
}

TEST_CASE("a header that HAProxy does not send is missed", "[interop][haproxy]")
{
    whoami_server server{trusting()};
    haproxy proxy{{.server = server.address()}};
    client from{proxy.address()};
    CHECK(converse(from, payload).answer.is_null());
    CHECK(server.program().wait_for_error(holds({R"("event":"refused")", "malformed"})));
}

#include "interop/proxies.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace support;

namespace {

const std::string payload = std::string{"bytes of the client\r\n"} + '\0' + "PROXY\xff and more";

}  // namespace

TEST_CASE("an Asio server behind HAProxy knows its client", "[interop][haproxy][asio]")
{
    const std::string words = GENERATE(as<std::string>{}, "send-proxy", "send-proxy-v2",
                                       "send-proxy-v2 proxy-v2-options crc32c,unique-id");
    CAPTURE(words);
    whoami_server server{trusting(), {}, WHENCE_ASIO_WHOAMI};
    haproxy proxy{{.server = server.address(), .server_words = words}};
    for (int i = 0; i < 20; ++i) {
        client from{proxy.address()};
        const std::string who = from.local();
        const conversation said = converse(from, payload);
        REQUIRE(said.answer.is_object());
        CHECK(said.answer.at("client") == who);
        CHECK(said.answer.at("server") == proxy.address());
        CHECK(said.answer.at("peer") != who);
        CHECK(said.answer.at("local") == server.address());
        CHECK(said.answer.at("origin") == "proxied");
        CHECK(said.echo == payload);
        CHECK(said.how == ending::closed);
    }
    CHECK(server.count_of("refused") == 0);
}

#include "interop/tls.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <unistd.h>

using namespace support;
using nlohmann::json;

namespace {

const char* const stunnel_configuration = R"(foreground = yes
pid =
debug = notice
[whoami]
accept = {front}
connect = {server}
protocol = proxy
cert = {certificate}
)";

/// stunnel and hitch write an IPv6 address with and without the brackets, the other way round.
std::string without_brackets(std::string address)
{
    std::erase(address, '[');
    std::erase(address, ']');
    return address;
}

std::string with_brackets(const std::string& address)
{
    const std::size_t colon = address.rfind(':');
    return address.front() == '[' ? address
                                  : '[' + address.substr(0, colon) + ']' + address.substr(colon);
}

/// The command for hitch, which wants to give up root when it is started as root.
std::vector<std::string> hitch_command(const std::string& front, const std::string& server,
                                       std::vector<std::string> more)
{
    std::vector<std::string> command{find_program("hitch", "hitch"),
                                     "--frontend=" + with_brackets(front),
                                     "--backend=" + with_brackets(server)};
    if (::geteuid() == 0)
        command.insert(command.end(), {"--user=nobody", "--group=nogroup"});
    command.insert(command.end(), more.begin(), more.end());
    return command;
}

struct spoken {
    std::string client_host;
    json answer;
};

/// Says a line through TLS from an address of its own, and sees it come back.
spoken speak_tls(const std::string& front)
{
    const bool is_ipv6 = front.front() == '[';
    std::vector<std::string> words{"-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"};
    if (!is_ipv6)
        words.insert(words.end(), {"-bind", "127.0.4.1:0"});
    connect_when_ready(front).reset();
    process through{s_client(front, words), {.input = "hello through TLS\n"}};
    const auto line = through.wait_for_output(holds({"\"client\":"}));
    INFO(through.errors_text());
    REQUIRE(line);
    CHECK(through.wait_for_output(holds({"hello through TLS"})));
    return {is_ipv6 ? "[::1]" : "127.0.4.1", json::parse(*line)};
}

std::string host_of(const std::string& address)
{
    return address.substr(0, address.rfind(':'));
}

whoami_server serve_at(const std::string& host)
{
    return whoami_server{{"--listen", host == "::1" ? "[::1]:0" : "127.0.0.1:0", "--trust",
                          "127.0.0.1", "--trust", "::1"}};
}

}  // namespace

TEST_CASE("stunnel's header names its TLS client", "[interop][stunnel][tls]")
{
    const std::string host = GENERATE(as<std::string>{}, "127.0.0.1", "::1");
    CAPTURE(host);
    const certificates made;
    whoami_server server = serve_at(host);
    const std::string front = free_address(host);
    const temporary_directory folder;
    const std::string configuration =
        folder.write("stunnel.conf",
                     filled(stunnel_configuration, {{"front", without_brackets(front)},
                                                    {"server", without_brackets(server.address())},
                                                    {"certificate", made.pem("server")}}));
    process stunnel{{find_program("stunnel", "stunnel4"), configuration}};
    const spoken said = speak_tls(front);
    INFO(stunnel.errors_text());
    CHECK(host_of(said.answer.at("client")) == said.client_host);
    CHECK(said.answer.at("server") == front);
    CHECK(said.answer.at("origin") == "proxied");
    CHECK(said.answer.at("version") == 1);
    CHECK(said.answer.at("family") == (host == "::1" ? "INET6" : "INET"));
    CHECK(said.answer.at("tlvs") == json::array());
    CHECK(server.count_of("refused") == 0);
}

TEST_CASE("hitch's header names its TLS client, and version 2 the TLS", "[interop][hitch][tls]")
{
    const std::string host = GENERATE(as<std::string>{}, "127.0.0.1", "::1");
    const int version = GENERATE(1, 2);
    CAPTURE(host, version);
    const certificates made;
    whoami_server server = serve_at(host);
    const std::string front = free_address(host);
    process hitch{hitch_command(front, server.address(),
                                {"--write-proxy-v" + std::to_string(version),
                                 "--alpn-protos=http/1.1", made.pem("server")})};
    const spoken said = speak_tls(front);
    INFO(hitch.errors_text());
    CHECK(host_of(said.answer.at("client")) == said.client_host);
    CHECK(said.answer.at("server") == front);
    CHECK(said.answer.at("origin") == "proxied");
    CHECK(said.answer.at("version") == version);
    CHECK(said.answer.at("family") == (host == "::1" ? "INET6" : "INET"));
    if (version == 1) {
        CHECK(said.answer.at("tlvs") == json::array());
    } else {
        CHECK(value_of(said.answer, 0x01) == "http/1.1");
        CHECK(value_of(said.answer, 0x02) == "play.example.org");
        const std::string ssl = value_of(said.answer, 0x20);
        // Over TLS, without a certificate: verify is not zero.
        CHECK(ssl.substr(0, 5) == std::string{"\x01\0\0\0\x01", 5});
        CHECK(inside(ssl) ==
              std::map<int, std::string>{{0x21, "TLSv1.3"}, {0x23, "TLS_AES_128_GCM_SHA256"}});
        CHECK(said.answer.at("tlvs").size() == 3);
    }
    CHECK(server.count_of("refused") == 0);
}

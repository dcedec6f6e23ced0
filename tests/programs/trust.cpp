#include "programs/whoami_server.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <unistd.h>

using namespace support;
using nlohmann::json;

namespace {

const std::string payload = "and this is payload\n";

/// What an untrusted peer may try: headers that a trusted one would be believed.
std::string tried_header()
{
    return std::string{GENERATE(good_header, good_header_v2)};
}

/// The fields of somebody of whom no header was read.
void check_direct(const conversation& said, const std::string& peer, const std::string& local)
{
    CHECK(said.answer == json{{"client", peer},
                              {"server", local},
                              {"peer", peer},
                              {"local", local},
                              {"origin", "direct"},
                              {"version", nullptr},
                              {"command", nullptr},
                              {"family", nullptr},
                              {"transport", nullptr},
                              {"tlvs", json::array()}});
    CHECK(said.how == ending::closed);
}

std::string port_of(const std::string& address)
{
    return address.substr(address.rfind(':') + 1);
}

}  // namespace

TEST_CASE("a trusted peer's header says who the client is", "[trust]")
{
    whoami_server server{trusting()};
    client from{server.address()};
    const std::string peer = from.local();
    const conversation said = converse(from, std::string{good_header_v2} + payload);
    CHECK(said.answer == json{{"client", good_client},
                              {"server", "198.51.100.1:443"},
                              {"peer", peer},
                              {"local", server.address()},
                              {"origin", "proxied"},
                              {"version", 2},
                              {"command", "PROXY"},
                              {"family", "INET"},
                              {"transport", "STREAM"},
                              {"tlvs", json::array()}});
    CHECK(said.echo == payload);
    CHECK(said.how == ending::closed);
}

TEST_CASE("an untrusted peer is refused whatever it sends", "[trust]")
{
    whoami_server server{trusting()};
    client from{server.address(), {.source = "127.0.0.2"}};
    const std::string who = from.local();
    from.send(GENERATE(as<std::string>{}, "", "GET / HTTP/1.0\r\n\r\n", good_header,
                       std::string{good_header_v2}));
    CHECK(from.read_to_end().refused());
    const auto line =
        server.program().wait_for_error(holds({R"("event":"refused")", '"' + who + '"'}));
    REQUIRE(line);
    const json said = json::parse(*line);
    CHECK(said.at("reason") == "untrusted");
    CHECK(said.at("peer") == who);
    CHECK(said.at("local") == server.address());
    CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
    CHECK(server.count_of("refused") == 1);
}

TEST_CASE("an untrusted peer that is served directly is believed nothing", "[trust]")
{
    whoami_server server{trusting({"--untrusted", "direct"})};
    const std::string sent = tried_header() + payload;
    client from{server.address(), {.source = "127.0.0.2"}};
    const std::string who = from.local();
    const conversation said = converse(from, sent);
    check_direct(said, who, server.address());
    CHECK(said.echo == sent);
    CHECK(server.count_of("refused") == 0);
    CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
}

TEST_CASE("an untrusted peer that is served directly is served before it says anything", "[trust]")
{
    whoami_server server{trusting({"--untrusted", "direct"})};
    client from{server.address(), {.source = "127.0.0.2"}};
    CHECK(json::parse(from.read_line()).at("origin") == "direct");
}

TEST_CASE("without --trust everyone is served directly", "[trust]")
{
    whoami_server server{{}};
    const std::string sent = tried_header() + payload;
    client from{server.address()};
    const std::string who = from.local();
    const conversation said = converse(from, sent);
    check_direct(said, who, server.address());
    CHECK(said.echo == sent);
}

TEST_CASE("a dual-stack listener sees IPv4 peers as IPv4", "[trust]")
{
    whoami_server server{trusting({"--listen", "[::]:0"})};
    const std::string port = port_of(server.address());

    client trusted{"127.0.0.1:" + port};
    const std::string who = trusted.local();
    const conversation said = converse(trusted, std::string{good_header} + payload);
    CHECK(said.answer.value("client", "") == good_client);
    CHECK(said.answer.value("peer", "") == who);
    CHECK(said.answer.value("local", "") == "127.0.0.1:" + port);
    CHECK(said.echo == payload);

    client other{"127.0.0.1:" + port, {.source = "127.0.0.2"}};
    const std::string other_name = other.local();
    other.send(good_header);
    CHECK(other.read_to_end().refused());
    CHECK(server.refusal_of(other_name) == "untrusted");

    // ::1 is not 127.0.0.1.
    client over_v6{"[::1]:" + port};
    const std::string v6_name = over_v6.local();
    over_v6.send(good_header);
    CHECK(over_v6.read_to_end().refused());
    CHECK(server.refusal_of(v6_name) == "untrusted");
}

TEST_CASE("a dual-stack listener serves untrusted IPv4 peers directly as IPv4", "[trust]")
{
    whoami_server server{trusting({"--listen", "[::]:0", "--untrusted", "direct"})};
    const std::string address = "127.0.0.1:" + port_of(server.address());
    client from{address, {.source = "127.0.0.2"}};
    const std::string who = from.local();
    const std::string sent = tried_header();
    const conversation said = converse(from, sent);
    check_direct(said, who, address);
    CHECK(said.echo == sent);
}

TEST_CASE("networks of both families and several entries are trusted", "[trust]")
{
    whoami_server server{{"--listen", "[::]:0", "--trust", "127.0.0.2", "--trust", "::1/128"}};
    const std::string port = port_of(server.address());
    client named{"127.0.0.1:" + port, {.source = "127.0.0.2"}};
    CHECK(converse(named, good_header).answer.value("client", "") == good_client);
    client over_v6{"[::1]:" + port};
    CHECK(converse(over_v6, good_header).answer.value("client", "") == good_client);
    client other{"127.0.0.1:" + port};
    other.send(good_header);
    CHECK(other.read_to_end().refused());
}

TEST_CASE("a UNIX peer is trusted by its user", "[trust]")
{
    const temporary_directory folder;
    const std::string address = "unix:" + (folder / "socket");
    const std::string uid = std::to_string(::getuid());
    whoami_server server{{"--listen", address, "--trust", "unix:uid=" + uid}};
    client from{address};
    const conversation said = converse(from, std::string{good_header_v2} + payload);
    CHECK(said.answer.value("client", "") == good_client);
    CHECK(said.answer.value("local", "") == address);
    CHECK(said.answer.value("peer", "") == "unix:");
    CHECK(said.echo == payload);
}

TEST_CASE("a UNIX peer of another user, or where only networks are trusted, is refused", "[trust]")
{
    const temporary_directory folder;
    const std::string address = "unix:" + (folder / "socket");
    const std::string trusted =
        GENERATE(as<std::string>{}, "unix:uid=12345678", "127.0.0.1", "0.0.0.0/0");
    whoami_server server{{"--listen", address, "--trust", trusted}};
    client from{address};
    from.send(good_header);
    CHECK(from.read_to_end().refused());
    CHECK(server.refusal_of("unix:") == "untrusted");
}

TEST_CASE("a trusted proxy may not claim our own addresses when it is told so", "[trust]")
{
    const std::string_view lie = "PROXY TCP4 127.0.0.1 198.51.100.1 4242 443\r\n";
    whoami_server believing{trusting()};
    client believed{believing.address()};
    CHECK(converse(believed, lie).answer.value("client", "") == "127.0.0.1:4242");

    whoami_server wary{trusting({"--refuse-local-claims"})};
    client liar{wary.address()};
    const std::string who = liar.local();
    liar.send(lie);
    CHECK(wary.refusal_of(who) == "vetoed");
    CHECK(fault_of_a_good_answer(wary.address(), step_time_max) == "");
}

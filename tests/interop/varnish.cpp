#include "interop/proxies.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace support;
using nlohmann::json;

namespace {

// The answer's first 190 bytes; how many follow depends on the ports.
const char* const varnishtest_script = R"(varnishtest "a client with a header of its own"
client c1 -connect "{server}" -proxy{version} "{addresses}" {
    send "hello\n"
    recv 190
} -run
)";

// A pipe: whoami's answer is no HTTP.
const char* const varnishd_configuration = R"(vcl 4.1;
backend whoami {
    .host = "{host}";
    .port = "{port}";
    .proxy_header = {version};
}
sub vcl_recv {
    return (pipe);
}
)";

/// What varnishtest received, put together again from its log.
std::string received_by(const process& varnishtest)
{
    std::string bytes;
    const std::string mark = "recv|";
    for (const std::string& line : varnishtest.output_lines()) {
        if (const std::size_t at = line.find(mark); at != line.npos)
            bytes += line.substr(at + mark.size());
    }
    return bytes;
}

}  // namespace

TEST_CASE("varnishtest's header names whom the script says", "[interop][varnish]")
{
    struct row {
        const char* client;
        const char* server;
        const char* family;
    };
    const row rows[]{{"203.0.113.7:4242", "198.51.100.1:25565", "INET"},
                     {"[2001:db8::7]:4242", "[2001:db8::1]:25565", "INET6"}};
    const std::string version = GENERATE(as<std::string>{}, "1", "2");
    whoami_server server{trusting()};
    const temporary_directory folder;
    for (const row& one : rows) {
        CAPTURE(version, one.client);
        const std::string script = folder.write(
            "client.vtc", filled(varnishtest_script,
                                 {{"server", server.address()},
                                  {"version", version},
                                  {"addresses", one.client + std::string{" "} + one.server}}));
        process varnishtest{{find_program("varnishtest", "varnish"), "-v", "-t", "10", script},
                            {.environment = {"TMPDIR=" + folder.path().string()}}};
        CHECK(varnishtest.wait_for_exit() == 0);
        INFO(varnishtest.output_text());
        const std::string answer = received_by(varnishtest);
        CHECK(answer.starts_with(R"({"client":")" + std::string{one.client} + R"(","server":")" +
                                 one.server + '"'));
        CHECK(answer.find(R"("origin":"proxied","version":)" + version +
                          R"(,"command":"PROXY","family":")" + one.family + '"') != answer.npos);
        CHECK(server.program().wait_for_error(
            holds({R"("event":"access")", one.client, one.server})));
    }
    CHECK(server.count_of("refused") == 0);
}

TEST_CASE("varnishd's header names its client", "[interop][varnish]")
{
    const std::string host = GENERATE(as<std::string>{}, "127.0.0.1", "::1");
    const int version = GENERATE(1, 2);
    CAPTURE(host, version);
    whoami_server server{{"--listen", host == "::1" ? "[::1]:0" : "127.0.0.1:0", "--trust",
                          "127.0.0.1", "--trust", "::1"}};
    const std::string front = free_address(host);
    const temporary_directory folder;
    const std::string configuration = folder.write(
        "pipe.vcl", filled(varnishd_configuration,
                           {{"host", host},
                            {"port", server.address().substr(server.address().rfind(':') + 1)},
                            {"version", std::to_string(version)}}));
    process varnishd{{find_program("varnishd", "varnish"), "-F", "-j", "none", "-n",
                      folder / "state", "-a", front, "-s", "malloc,1m", "-f", configuration}};
    // It compiles its configuration with a C compiler before it listens.
    client from = connect_when_ready(front);
    const std::string who = from.local();
    from.send("GET /some/path HTTP/1.1\r\nHost: example.org\r\n\r\n");
    const std::string line = from.read_line();
    INFO(varnishd.output_text() << varnishd.errors_text());
    REQUIRE(line.starts_with('{'));
    const json answer = json::parse(line);
    CHECK(answer.at("client") == who);
    CHECK(answer.at("server") == front);
    CHECK(answer.at("origin") == "proxied");
    CHECK(answer.at("version") == version);
    CHECK(answer.at("family") == (host == "::1" ? "INET6" : "INET"));
    CHECK(from.read_line() == "GET /some/path HTTP/1.1\r");
    CHECK(server.count_of("refused") == 0);
}

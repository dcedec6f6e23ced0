#include "common/limit_options.hpp"

#include "support/run_server.hpp"

#include <CLI/CLI.hpp>
#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

using namespace whence;
using examples::limit_gates;
using examples::limit_options;
using support::ask;
using support::echo;
using support::run_here;
using support::with_server;

namespace {

limit_options parse(const std::string& line)
{
    limit_options options;
    CLI::App app;
    examples::add_limit_options(app, options);
    app.parse(line);
    return options;
}

std::string complaint_about(const std::string& line)
{
    try {
        parse(line);
    } catch (const CLI::ParseError& error) {
        return error.what();
    }
    return "none";
}

/// Is a file that goes with the test.
class own_file {
public:
    own_file()
    {
        std::string name =
            (std::filesystem::temp_directory_path() / "whence-limit-XXXXXX").string();
        const int fd = mkstemp(name.data());
        REQUIRE(fd >= 0);
        close(fd);
        path = name;
    }
    ~own_file() { std::filesystem::remove(path); }
    void write(std::string_view text) const { std::ofstream{path} << text; }

    std::string path;
};

const std::string header = "PROXY TCP4 192.0.2.7 198.51.100.1 4242 443\r\n";
const std::string local{"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16};

auto behind_proxy(const limit_gates& gates)
{
    return pipeline(proxy_protocol::accept({.trust = {"127.0.0.1"}}), gates, echo);
}

/// Tells whether a client with this header is served.
bool served(const std::string& line, const std::string& with)
{
    std::string answer;
    run_here([&]() -> task<> {
        const limit_gates gates{parse(line)};
        co_await with_server(behind_proxy(gates), [&](endpoint address) -> task<> {
            answer = co_await ask(address, with + "hello");
        });
    });
    return answer == "hello";
}

}  // namespace

TEST_CASE("the limits are read from the command line", "[examples]")
{
    const limit_options options = parse(
        "--connections-max 7 --client-connections-max 3 --client-rate-max 10/50 "
        "--client-prefix-v4 24 --client-prefix-v6 48 --local-connections-max 5 "
        "--unknown-connections-max 6 --allow 192.0.2.0/24 --allow unix:uid=7 --deny 192.0.2.9 "
        "--allow-local");
    CHECK(options.all.connections_max == 7);
    CHECK(options.client.connections_per_client_max == 3);
    CHECK(options.client.new_per_second_max == 10);
    CHECK(options.client.new_burst_max == 50);
    CHECK(options.client.ipv4_prefix == 24);
    CHECK(options.client.ipv6_prefix == 48);
    CHECK(options.client.local_max == 5);
    CHECK(options.client.unknown_max == 6);
    CHECK(options.allow == std::vector<std::string>{"192.0.2.0/24", "unix:uid=7"});
    CHECK(options.deny == std::vector<std::string>{"192.0.2.9"});
    CHECK(options.allow_local);
    CHECK(parse("--client-rate-max 10").client.new_burst_max == 0);
}

TEST_CASE("a wrong limit is named", "[examples]")
{
    struct row {
        std::string line;
        std::string_view named;
    };
    for (const row& wrong :
         {row{"--connections-max 0", "--connections-max"},
          row{"--client-connections-max 0", "--client-connections-max"},
          row{"--client-rate-max 0", "--client-rate-max"},
          row{"--client-rate-max 5/0", "--client-rate-max"}, row{"--client-rate-max 5/x", "burst"},
          row{"--client-rate-max many", "--client-rate-max"},
          row{"--client-prefix-v4 33", "--client-prefix-v4"},
          row{"--client-prefix-v6 129", "--client-prefix-v6"},
          row{"--allow 10.0.0.1/8", "did you mean 10.0.0.0/8?"}, row{"--deny nobody", "--deny"}})
    {
        CAPTURE(wrong.line);
        CHECK(complaint_about(wrong.line).find(wrong.named) != std::string::npos);
    }
}

TEST_CASE("what the options ask for is what the gate does", "[examples]")
{
    CHECK(served("", header));
    CHECK(served("", local));
    CHECK(served("--allow 192.0.2.0/24 --client-connections-max 1", header));
    CHECK_FALSE(served("--allow 192.0.3.0/24", header));
    CHECK_FALSE(served("--allow 192.0.2.0/24", local));
    CHECK(served("--allow 192.0.2.0/24 --allow-local", local));
    CHECK_FALSE(served("--deny 192.0.2.0/24", header));
    CHECK_FALSE(served("--allow 192.0.2.0/24 --deny 192.0.2.7", header));
    for (const std::string line :
         {"--client-connections-max 1", "--client-rate-max 1", "--connections-max 1"})
    {
        CAPTURE(line);
        run_here([&]() -> task<> {
            const limit_gates gates{parse(line)};
            co_await with_server(behind_proxy(gates), [](endpoint address) -> task<> {
                const std::string first = co_await ask(address, "");
                connection held = co_await connect(address);
                co_await held.write(header + "x");
                const chunk in = co_await held.receive();
                CHECK(in.text() == "x");
                const std::string second = co_await ask(address, header + "hello");
                CHECK(second == "reset");
            });
        });
    }
}

TEST_CASE("lists of files are read again at a hangup", "[examples]")
{
    const own_file file;
    file.write("203.0.113.0/24\n");
    run_here([&]() -> task<> {
        const limit_gates gates{parse("--deny-file " + file.path)};
        REQUIRE(gates.lists_of_files().size() == 1);
        scope reloading;
        reloading.spawn(examples::reload_on_hangup(gates.lists_of_files()));
        co_await with_server(behind_proxy(gates), [&file](endpoint address) -> task<> {
            const auto answer = [&address] { return ask(address, header + "hello"); };
            const std::string before = co_await answer();
            CHECK(before == "hello");
            for (const std::string_view text : {"192.0.2.7\n", "192.0.2.x\n"}) {
                file.write(text);
                runtime::current().hangup().set();
                co_await support::settle();
                CHECK_FALSE(runtime::current().hangup().is_set());
                const std::string after = co_await answer();
                CHECK(after == "reset");
            }
        });
        reloading.stop();
        co_await reloading.join();
    });
}

TEST_CASE("a list that lets nobody in does not start, nor one that cannot be read", "[examples]")
{
    const own_file file;
    file.write("# nobody yet\n");
    CHECK_THROWS_AS(limit_gates{parse("--allow-file " + file.path)}, std::runtime_error);
    CHECK_NOTHROW(limit_gates{parse("--allow-file " + file.path + " --allow 10.0.0.0/8")});
    CHECK_NOTHROW(limit_gates{parse("--deny-file " + file.path)});
    file.write("10.0.0.0/33\n");
    CHECK_THROWS_AS(limit_gates{parse("--deny-file " + file.path)}, std::runtime_error);
}

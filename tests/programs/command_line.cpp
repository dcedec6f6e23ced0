#include "programs/whoami_server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <csignal>

using namespace support;
using nlohmann::json;

namespace {

struct ended {
    int status;
    std::string errors;
    std::string output;
};

ended run_to_end(std::vector<std::string> options)
{
    options.insert(options.begin(), WHENCE_WHOAMI);
    process program{options};
    const auto status = program.wait_for_exit();
    REQUIRE(status);
    ended how{*status, program.errors_text(), ""};
    for (const std::string& line : program.output_lines())
        how.output += line + '\n';
    return how;
}

}  // namespace

TEST_CASE("a bad option ends with status 2 and is named", "[command_line]")
{
    struct row {
        std::vector<std::string> options;
        const char* named;
    };
    const row rows[]{
        {{"--listen", "127.0.0.1"}, "--listen"},
        {{"--listen", "localhost:7000"}, "--listen"},
        {{"--listen", "127.0.0.1:65536"}, "--listen"},
        {{"--listen", "[::1:0"}, "--listen"},
        {{"--listen"}, "--listen"},
        {{"--trust", "127.0.0.1/33"}, "--trust"},
        {{"--trust", "127.0.0.1/8"}, "--trust"},
        {{"--trust", "everybody"}, "--trust"},
        {{"--trust", "unix:uid=x"}, "--trust"},
        {{"--trust", ""}, "--trust"},
        {{"--untrusted", "maybe"}, "--untrusted"},
        {{"--header-time-max", "5"}, "--header-time-max"},
        {{"--header-time-max", "-5s"}, "--header-time-max"},
        {{"--header-time-max", "soon"}, "--header-time-max"},
        {{"--header-size-max", "65536"}, "--header-size-max"},
        {{"--header-size-max", "-1"}, "--header-size-max"},
        {{"--header-size-max", "lots"}, "--header-size-max"},
        {{"--drain-time-max", "1 fortnight"}, "--drain-time-max"},
        {{"--threads", "1025"}, "--threads"},
        {{"--threads", "many"}, "--threads"},
        {{"--allow-file", ""}, "--allow-file"},
        {{"--deny-file", ""}, "--deny-file"},
        {{"--access-log", "/dev/null"}, "--access-log"},
        {{"--verbose"}, "--verbose"},
        {{"stray"}, "stray"},
    };
    for (const row& bad : rows) {
        const std::string value = bad.options.back();
        CAPTURE(bad.named, value);
        const ended how = run_to_end(bad.options);
        CHECK(how.status == 2);
        CHECK(how.errors.find(bad.named) != std::string::npos);
        CHECK(how.output.empty());
    }
}

TEST_CASE("--help tells every option and ends with status 0", "[command_line]")
{
    const ended how = run_to_end({"--help"});
    CHECK(how.status == 0);
    CHECK(how.errors.empty());
    for (const char* option :
         {"--listen", "--trust", "--untrusted", "--header-time-max", "--header-size-max",
          "--drain-time-max", "--threads", "--access-log"})
    {
        CAPTURE(option);
        CHECK(how.output.find(option) != std::string::npos);
    }
}

TEST_CASE("an address that is taken ends with status 1 and one JSON line", "[command_line]")
{
    whoami_server first{{}};
    const ended how = run_to_end({"--listen", first.address()});
    CHECK(how.status == 1);
    CHECK(how.output.empty());
    REQUIRE(std::count(how.errors.begin(), how.errors.end(), '\n') == 1);
    const json line = json::parse(how.errors);
    CHECK(line.at("event") == "error");
    CHECK(line.at("error").get<std::string>().find(first.address()) != std::string::npos);
}

TEST_CASE("one address that cannot be had opens none of several", "[command_line]")
{
    whoami_server first{{}};
    const ended how = run_to_end({"--listen", "127.0.0.1:0", "--listen", first.address()});
    CHECK(how.status == 1);
    CHECK(how.output.empty());
}

TEST_CASE("several listeners are all served, each with its real address", "[command_line]")
{
    const temporary_directory folder;
    whoami_server server{{"--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--listen",
                          "127.0.0.2:0", "--listen", "unix:" + (folder / "socket")}};
    for (std::size_t i = 0; i < 4; ++i) {
        CAPTURE(server.address(i));
        CHECK_FALSE(server.address(i).ends_with(":0"));
        client from{server.address(i)};
        const conversation said = converse(from, "hello");
        CHECK(said.answer.value("local", "") == server.address(i));
        CHECK(said.answer.value("origin", "") == "direct");
        CHECK(said.echo == "hello");
        CHECK(said.how == ending::closed);
    }
}

TEST_CASE("echo sends back what it is told and nothing else", "[command_line]")
{
    process program{{WHENCE_ECHO, "--listen", "127.0.0.1:0", "--access-log", "off"}};
    const auto ready = program.wait_for_output([](std::string_view) { return true; });
    REQUIRE(ready);
    const json listening = json::parse(*ready);
    CHECK(listening.at("event") == "listening");
    client one{listening.at("address").get<std::string>()};
    one.send("hello");
    one.finish();
    const received all = one.read_to_end();
    CHECK(all.bytes == "hello");
    CHECK(all.how == ending::closed);
    program.signal(SIGTERM);
    CHECK(program.wait_for_exit() == 0);
}

#include "programs/whoami_server.hpp"
#include "support/test_driver.hpp"

#include <catch2/catch_test_macros.hpp>

#include <csignal>

#include <unistd.h>

using namespace support;
using nlohmann::json;

namespace {

constexpr int storm =
    10'000;  // of refusals, and as many access lines: more than pipe and buffer hold

void come_and_go(const std::string& address)
{
    client bad{address};
    bad.send("X");
    bad.read_to_end();
    client good{address};
    good.send(good_header);
    good.read_line();
    good.reset();
}

std::optional<client> connect_when_ready(process& program, const std::string& address)
{
    const auto until = std::chrono::steady_clock::now() + step_time_max;
    while (std::chrono::steady_clock::now() < until) {
        try {
            return client{address};
        } catch (const std::system_error&) {
            if (program.wait_for_exit(milliseconds{5}))
                return std::nullopt;
        }
    }
    return std::nullopt;
}

std::string what_is(const process& program, int fd)
{
    return std::filesystem::read_symlink("/proc/" + std::to_string(program.pid()) + "/fd/" +
                                         std::to_string(fd));
}

}  // namespace

TEST_CASE("every connection is told in one access line", "[logging]")
{
    whoami_server server{trusting()};
    client from{server.address()};
    const std::string peer = from.local();
    converse(from, good_header);
    const auto line =
        server.program().wait_for_error(holds({R"("event":"access")", '"' + peer + '"'}));
    REQUIRE(line);
    const json said = json::parse(*line);
    CHECK(said.at("client") == good_client);
    CHECK(said.at("server") == "198.51.100.1:443");
    CHECK(said.at("local") == server.address());
    CHECK(said.at("origin") == "proxied");
    CHECK(said.at("outcome") == "closed");
    CHECK(said.at("duration_ms").get<int>() < 10'000);
    CHECK(server.program().error_lines().size() == 1);
}

TEST_CASE("the access log goes to stdout or nowhere when asked", "[logging]")
{
    whoami_server to_output{trusting({"--access-log", "stdout"})};
    CHECK(fault_of_a_good_answer(to_output.address(), step_time_max) == "");
    CHECK(to_output.program().wait_for_output(holds({R"("event":"access")", good_client})));
    CHECK(to_output.program().error_lines().empty());

    whoami_server off{trusting({"--access-log", "off"})};
    CHECK(fault_of_a_good_answer(off.address(), step_time_max) == "");
    off.program().signal(SIGTERM);
    CHECK(off.program().wait_for_exit() == 0);
    CHECK(off.program().output_lines().size() == 1);
    CHECK(off.program().error_lines().empty());
}

TEST_CASE("a log that nobody reads does not stop the server", "[logging]")
{
    whoami_server server{trusting(), {.errors = capture::unread}};
    for (int i = 0; i < storm; ++i)
        come_and_go(server.address());
    CHECK(fault_of_a_good_answer(server.address(), milliseconds{500}) == "");
    server.program().signal(SIGTERM);
    CHECK(server.program().wait_for_exit() == 0);
}

TEST_CASE("a log whose reader has died does not stop the server", "[logging]")
{
    for (const char* where : {"stderr", "stdout"}) {
        CAPTURE(where);
        whoami_server server{trusting({"--access-log", where})};
        server.program().stop_reading();
        for (int i = 0; i < 100; ++i)
            come_and_go(server.address());
        CHECK(fault_of_a_good_answer(server.address(), milliseconds{500}) == "");
        server.program().signal(SIGTERM);
        CHECK(server.program().wait_for_exit() == 0);
    }
}

TEST_CASE("a server without stdout or stderr serves", "[logging]")
{
    struct row {
        capture output;
        capture errors;
    };
    for (const row& streams :
         {row{capture::closed, capture::lines}, row{capture::lines, capture::closed},
          row{capture::closed, capture::closed}})
    {
        CAPTURE(streams.output == capture::closed, streams.errors == capture::closed);
        const temporary_directory folder;
        const std::string address = "unix:" + (folder / "socket");
        process program{
            on_test_driver({WHENCE_WHOAMI, "--listen", address, "--trust", "unix:uid=12345678",
                            "--trust", "unix:uid=" + std::to_string(::getuid())}),
            {.output = streams.output, .errors = streams.errors}};
        for (int i = 0; i < 3; ++i) {
            auto bad = connect_when_ready(program, address);
            REQUIRE(bad);
            bad->send("X");
            CHECK(bad->read_to_end().refused());
            CHECK(fault_of_a_good_answer(address, step_time_max) == "");
        }
        // Otherwise the next socket would get the log's number.
        CHECK((streams.output != capture::closed || what_is(program, 1) == "/dev/null"));
        CHECK((streams.errors != capture::closed || what_is(program, 2) == "/dev/null"));
        program.signal(SIGTERM);
        CHECK(program.wait_for_exit() == 0);
    }
}

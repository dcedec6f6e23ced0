#include "programs/metrics.hpp"
#include "programs/whoami_server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <csignal>

using namespace support;
using nlohmann::json;

TEST_CASE("where io_uring is forbidden the same server comes up on Asio, and says why", "[driver]")
{
    struct row {
        int error;
        const char* reason;
    };
    for (const row& one : {row{EPERM, "a seccomp filter forbids it"},
                           row{ENOSYS, "a seccomp filter hides it, or the kernel"},
                           row{EACCES, "a seccomp filter forbids it"},
                           row{EINVAL, "is too old: Linux 6.1 or newer is needed"}})
    {
        CAPTURE(one.reason);
        whoami_server server{
            trusting({"--driver", "auto", "--threads", "2", "--metrics", "127.0.0.1:0"}),
            {.io_uring_error = one.error}};
        CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
        const auto said = server.program().wait_for_error(holds({R"("event":"driver")"}));
        REQUIRE(said);
        const json line = json::parse(*said);
        CHECK(line.at("driver") == "asio");
        CHECK(line.at("reason").get<std::string>().find(one.reason) != std::string::npos);
        CHECK(metrics{server}.value("whence_driver_info", {R"(driver="asio")"}) == 1);
        server.program().signal(SIGTERM);
        CHECK(server.program().wait_for_exit() == 0);
        CHECK(server.count_of("driver") == 1);
    }
}

TEST_CASE("an io_uring that was asked for and cannot be had is an error, status 2", "[driver]")
{
    for (const int error : {EPERM, ENOSYS}) {
        process program{{WHENCE_WHOAMI, "--listen", "127.0.0.1:0", "--driver", "io_uring"},
                        {.io_uring_error = error}};
        CHECK(program.wait_for_exit() == 2);
        const auto said = program.error_lines();
        REQUIRE(said.size() == 1);
        const json line = json::parse(said.front());
        CHECK(line.at("event") == "error");
        CHECK(line.at("error").get<std::string>().starts_with("cannot set up an io_uring: "));
    }
}

TEST_CASE("what is no matter of io_uring is no reason for another driver", "[driver]")
{
    for (const int error : {ENOMEM, EMFILE}) {
        process program{{WHENCE_WHOAMI, "--listen", "127.0.0.1:0", "--driver", "auto"},
                        {.io_uring_error = error}};
        CHECK(program.wait_for_exit() == 1);
        CHECK(program.error_lines().size() == 1);
    }
}

TEST_CASE("a driver that is chosen is not talked about", "[driver]")
{
    whoami_server server{trusting({"--driver", "asio"}), {.io_uring_error = EPERM}};
    CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
    server.program().signal(SIGTERM);
    CHECK(server.program().wait_for_exit() == 0);
    CHECK(server.count_of("driver") == 0);
}

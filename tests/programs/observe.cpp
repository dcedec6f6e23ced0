#include "programs/metrics.hpp"

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <chrono>
#include <csignal>

using namespace support;

TEST_CASE("--metrics serves the metrics at an address of their own", "[observe]")
{
    const temporary_directory folder;
    for (const std::string& at : {std::string{"127.0.0.1:0"}, "unix:" + (folder / "metrics")}) {
        CAPTURE(at);
        whoami_server server{trusting({"--metrics", at})};
        const std::string address = status_address(server);
        CHECK(fault_of_a_good_answer(server.address(), step_time_max) == "");
        const std::string listener = "listener=\"" + server.address() + '"';
        const std::string text = http_get(address, "/metrics");
        CHECK(text.starts_with("HTTP/1.1 200 OK\r\n"));
        CHECK(text.find("whence_sessions_started_total{" + listener +
                        ",header=\"v1\",origin=\"proxied\"} 1\n") != text.npos);
        CHECK(text.find("whence_connections_accepted_total{" + listener + ",runtime=\"0\"} 1\n") !=
              text.npos);
    }
}

TEST_CASE("the endpoint says that the server drains, until it has ended", "[observe]")
{
    whoami_server server{trusting({"--metrics", "127.0.0.1:0", "--drain-time-max", "60s"})};
    const std::string address = status_address(server);
    client session{server.address()};
    session.send(good_header);
    CHECK(!session.read_line().empty());
    CHECK(http_get(address, "/readyz").starts_with("HTTP/1.1 200 "));
    server.program().signal(SIGTERM);
    const auto until = std::chrono::steady_clock::now() + step_time_max;
    std::string ready;
    while (!ready.starts_with("HTTP/1.1 503 ") && std::chrono::steady_clock::now() < until)
        ready = http_get(address, "/readyz");
    CHECK(ready.ends_with("\r\n\r\ndraining\n"));
    CHECK(http_get(address, "/metrics").find("whence_sessions_open") != std::string::npos);
    session.finish();
    CHECK(server.program().wait_for_exit() == 0);
}

TEST_CASE("an address for metrics that is none, or is taken, ends the program", "[observe]")
{
    process bad{{WHENCE_WHOAMI, "--metrics", "nowhere"}};
    CHECK(bad.wait_for_exit() == 2);
    CHECK(bad.errors_text().find("--metrics") != std::string::npos);
    const listening taken = listen_at("127.0.0.1");
    process late{{WHENCE_WHOAMI, "--listen", "127.0.0.1:0", "--metrics", taken.address}};
    CHECK(late.wait_for_exit() == 1);
    CHECK(late.errors_text().find("bind " + taken.address) != std::string::npos);
    ::close(taken.fd);
}

#include <whence/middleware/access_log.hpp>

#include "support/run_server.hpp"

#include <whence/middleware/accept_header.hpp>
#include <whence/middleware/pipeline.hpp>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using namespace whence;
using support::ask;
using support::run_here;
using support::with_server;

namespace {

/// Catches what is written to a descriptor while it lives.
class captured {
public:
    explicit captured(int fd) : fd_(fd), before_(dup(fd))
    {
        REQUIRE(pipe(ends_.data()) == 0);
        dup2(ends_[1], fd_);
    }
    ~captured()
    {
        dup2(before_, fd_);
        for (const int end : {ends_[0], ends_[1], before_})
            close(end);
    }
    captured(const captured&) = delete;
    captured& operator=(const captured&) = delete;

    std::vector<nlohmann::json> events() const
    {
        fcntl(ends_[0], F_SETFL, O_NONBLOCK);
        std::array<char, 65536> text{};
        const ssize_t size = read(ends_[0], text.data(), text.size());
        std::istringstream lines{{text.data(), static_cast<std::size_t>(size > 0 ? size : 0)}};
        std::vector<nlohmann::json> all;
        for (std::string line; std::getline(lines, line);)
            all.push_back(nlohmann::json::parse(line));
        return all;
    }

private:
    int fd_;
    int before_;
    std::array<int, 2> ends_{};
};

task<> obey(connection& conn)
{
    const chunk got = co_await conn.receive();
    if (got.text() == "throw")
        throw std::runtime_error("told to");
    while (got.text() == "stay") {
        const chunk more = co_await conn.receive();
        static_cast<void>(more);
        co_await sleep_for(1h);
    }
}

std::vector<nlohmann::json> log_of(log_stream to, int fd, std::string text)
{
    const captured log{fd};
    run_here([&]() -> task<> {
        auto app = pipeline(proxy_protocol::accept({.trust = {"127.0.0.1"}}), access_log{to}, obey);
        co_await with_server(std::move(app),
                             [&text](endpoint address) -> task<> { co_await ask(address, text); },
                             {.drain_time_max = 10ms});
    });
    return log.events();
}

const std::string header = "PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\n";

}  // namespace

TEST_CASE("every connection is a line with both views of its ends", "[middleware]")
{
    const auto events = log_of(log_stream::standard_error, 2, header + "hello");
    REQUIRE(events.size() == 1);
    const nlohmann::json& line = events.front();
    CHECK(line["event"] == "access");
    CHECK(line["client"] == "203.0.113.7:4242");
    CHECK(line["server"] == "198.51.100.1:443");
    CHECK(line["peer"].get<std::string>().starts_with("127.0.0.1:"));
    CHECK(line["local"].get<std::string>().starts_with("127.0.0.1:"));
    CHECK(line["origin"] == "proxied");
    CHECK(line["outcome"] == "closed");
    CHECK(line["duration_ms"].is_number_unsigned());
    const std::string time = line["time"];
    CHECK(time.size() == std::string{"2026-11-23T12:00:00.000Z"}.size());
    CHECK(time.starts_with("20"));
    CHECK(time.ends_with("Z"));
}

TEST_CASE("the line tells how the session ended", "[middleware]")
{
    const auto failed = log_of(log_stream::standard_error, 2, header + "throw");
    REQUIRE(failed.size() == 2);
    CHECK(failed[0]["event"] == "access");
    CHECK(failed[0]["outcome"] == "failed");
    CHECK(failed[1]["event"] == "session_failed");
    CHECK(failed[1]["error"] == "told to");
}

TEST_CASE("the log goes where it is told to, or nowhere", "[middleware]")
{
    CHECK(log_of(log_stream::standard_output, 1, header + "hello").size() == 1);
    CHECK(log_of(log_stream::none, 2, header + "hello").empty());
}

TEST_CASE("a refused connection has a line of its own, and none in the access log", "[middleware]")
{
    const auto events = log_of(log_stream::standard_error, 2, "GET / HTTP/1.1\r\n");
    REQUIRE(events.size() == 1);
    CHECK(events[0]["event"] == "refused");
    CHECK(events[0]["reason"] == "malformed");
    CHECK(events[0]["detail"] ==
          "no_signature at byte 0; HTTP request where a PROXY header was required");
    CHECK(events[0]["peer"].get<std::string>().starts_with("127.0.0.1:"));
}

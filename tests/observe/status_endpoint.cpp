#include <whence/observe/status_endpoint.hpp>

#include "support/run_server.hpp"

#include <whence/runtime/invoke_on.hpp>

#include <catch2/catch_test_macros.hpp>

#include <deque>
#include <string>

using namespace whence;
using support::ask;
using support::run_here;

namespace {

/// Serves a status_endpoint on a free port while `body(address)` runs.
template <class Body>
task<> with_status(Body body, status_options options = {})
{
    listener at = listener::bind("127.0.0.1:0");
    const endpoint address = at.local();
    scope watched;
    watched.spawn(serve_status(std::move(at), status_endpoint{std::move(options)}));
    co_await body(address);
    watched.stop();
    co_await watched.join();
}

/// Sends `text` and gives what comes back, without half-closing first.
task<std::string> request(endpoint address, std::string text)
{
    connection to = co_await connect(address);
    co_await to.write(text);
    std::string answer;
    while (auto got = co_await to.receive())
        answer += got.text();
    co_return answer;
}

std::string body_of(const std::string& answer)
{
    const std::size_t end = answer.find("\r\n\r\n");
    return end == answer.npos ? "" : answer.substr(end + 4);
}

}  // namespace

TEST_CASE("the endpoint answers what its paths promise", "[observe]")
{
    run_here([]() -> task<> {
        co_await with_status([](endpoint address) -> task<> {
            const std::string alive = co_await request(address, "GET /healthz HTTP/1.0\r\n\r\n");
            CHECK(alive == "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                           "Content-Length: 3\r\nCache-Control: no-store\r\n"
                           "Connection: close\r\n\r\nok\n");
            const std::string counted =
                co_await request(address, "GET /metrics?x HTTP/1.1\r\nHost: a\r\n\r\n");
            CHECK(counted.find("text/plain; version=0.0.4") != counted.npos);
            const std::string text = body_of(counted);
            CHECK(text.find("\nwhence_buffers 1024\n") != text.npos);
            CHECK(counted.find("Content-Length: " + std::to_string(text.size()) + "\r\n") !=
                  counted.npos);
            const std::string head = co_await request(address, "HEAD /readyz HTTP/1.0\r\n\r\n");
            CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
            CHECK(body_of(head).empty());
            const std::string wrong = co_await request(address, "GET /metric HTTP/1.0\r\n\r\n");
            CHECK(wrong.starts_with("HTTP/1.1 404 "));
            const std::string post = co_await request(address, "POST /metrics HTTP/1.0\r\n\r\n");
            CHECK(post.starts_with("HTTP/1.1 405 "));
            CHECK(post.find("\r\nAllow: GET, HEAD\r\n") != post.npos);
            const std::string bad = co_await request(address, "hello\r\n\r\n");
            CHECK(bad.starts_with("HTTP/1.1 400 "));
        });
    });
}

TEST_CASE("the endpoint is ready until the runtime drains, and alive meanwhile", "[observe]")
{
    run_here([]() -> task<> {
        co_await with_status([](endpoint address) -> task<> {
            const std::string before = co_await request(address, "GET /readyz HTTP/1.0\r\n\r\n");
            CHECK(before.starts_with("HTTP/1.1 200 "));
            runtime::current().drain().set();
            const std::string after = co_await request(address, "GET /readyz HTTP/1.0\r\n\r\n");
            CHECK(after.starts_with("HTTP/1.1 503 "));
            CHECK(body_of(after) == "draining\n");
            const std::string alive = co_await request(address, "GET /healthz HTTP/1.0\r\n\r\n");
            CHECK(alive.starts_with("HTTP/1.1 200 "));
        });
    });
}

TEST_CASE("a request is bounded in time and size", "[observe]")
{
    run_here([]() -> task<> {
        co_await with_status(
            [](endpoint address) -> task<> {
                const std::string late = co_await request(address, "GET /healthz HT");
                CHECK(late.starts_with("HTTP/1.1 408 "));
                const std::string large = co_await request(address, std::string(200, 'x'));
                CHECK(large.starts_with("HTTP/1.1 431 "));
                const std::string nothing = co_await ask(address, "");
                CHECK(nothing.empty());
                const std::string cut = co_await ask(address, "GET /");
                CHECK(cut.empty());
            },
            {.time_max = 50ms, .head_size_max = 100});
    });
}

TEST_CASE("silent visitors do not fill the endpoint for long", "[observe]")
{
    run_here([]() -> task<> {
        co_await with_status(
            [](endpoint address) -> task<> {
                std::deque<connection> silent;
                for (int i = 0; i < 32; ++i)
                    silent.push_back(co_await connect(address));
                co_await support::settle();
                const std::string crowded = co_await ask(address, "GET /healthz HTTP/1.0\r\n\r\n");
                CHECK(crowded == "reset");
                while (auto got = co_await silent.back().receive())
                    CHECK(got.text().starts_with("HTTP/1.1 408 "));
                const std::string later = co_await ask(address, "GET /healthz HTTP/1.0\r\n\r\n");
                CHECK(later.starts_with("HTTP/1.1 200 "));
            },
            {.time_max = 100ms});
    });
}

TEST_CASE("the endpoint tells the metrics of all runtimes while they count", "[observe][kernel]")
{
    support::run_in_group(2, []() -> task<> {
        scope busy;
        busy.spawn(invoke_on(*runtime::current().group()[1], []() -> task<> {
            for (;;)
                co_await sleep_for(0ns);
        }));
        co_await with_status([](endpoint address) -> task<> {
            for (int i = 0; i < 20; ++i) {
                const std::string text = co_await request(address, "GET /metrics HTTP/1.0\r\n\r\n");
                CHECK(text.find("whence_loop_lag_seconds_count{runtime=\"1\"} ") != text.npos);
            }
        });
        busy.stop();
        co_await busy.join();
    });
}

TEST_CASE("the endpoint survives a fault at every operation", "[observe]")
{
    support::run_with_every_fault([]() -> task<> {
        co_await with_status([](endpoint address) -> task<> {
            deadline limit{1s};
            auto asking = as_result(ask(address, "GET /healthz HTTP/1.0\r\n\r\n"));
            const result<std::string> answer = co_await asking;
            CHECK((!answer || answer->empty() || *answer == "reset" ||
                   answer->starts_with("HTTP/1.1 200")));
        });
    });
}

#include <whence/observe/status_endpoint.hpp>

#include <whence/coro/deadline.hpp>
#include <whence/observe/http_head.hpp>
#include <whence/observe/prometheus.hpp>
#include <whence/runtime/runtime.hpp>

namespace whence::inline v0 {

namespace {

constexpr std::size_t visitors_max = 32;
constexpr nanoseconds accept_pause = 100ms;  // for descriptors to come free

constexpr std::string_view plain = "text/plain; charset=utf-8";
constexpr std::string_view metrics_text = "text/plain; version=0.0.4; charset=utf-8";

struct page {
    std::string_view status;
    std::string body;
    std::string_view type = plain;
};

page page_of(int status)
{
    switch (status) {
    case 400:
        return {"400 Bad Request", "bad request\n"};
    case 404:
        return {"404 Not Found", "there is /metrics, /healthz and /readyz\n"};
    case 405:
        return {"405 Method Not Allowed", "GET or HEAD\n"};
    case 408:
        return {"408 Request Timeout", "too late\n"};
    default:
        return {"431 Request Header Fields Too Large", "too large\n"};
    }
}

page find_page(const internal::http_head& head)
{
    if (head.status != 200)
        return page_of(head.status);
    if (head.path != "/metrics" && head.path != "/healthz" && head.path != "/readyz")
        return page_of(404);
    if (head.method != "GET" && head.method != "HEAD")
        return page_of(405);
    runtime& here = runtime::current();
    if (head.path == "/metrics") {
        std::vector<const runtime_metrics*> all;
        for (runtime* const each : here.group())
            all.push_back(&each->metrics());
        return {"200 OK", prometheus_text(all), metrics_text};
    }
    if (head.path == "/readyz" && here.drain().is_set())
        return {"503 Service Unavailable", "draining\n"};
    return {"200 OK", "ok\n"};
}

std::string answer_text(const page& found, bool with_body)
{
    std::string text = "HTTP/1.1 ";
    text += found.status;
    text += "\r\nContent-Type: ";
    text += found.type;
    text += "\r\nContent-Length: " + std::to_string(found.body.size());
    if (found.status.starts_with("405"))
        text += "\r\nAllow: GET, HEAD";
    text += "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n";
    if (with_body)
        text += found.body;
    return text;
}

task<> send(connection& conn, const std::string& text)
{
    co_await conn.write(text);
    conn.shutdown();
}

/// Is one visit; what goes wrong in it concerns nobody else.
task<> visit(connection conn, const status_endpoint& page)
{
    try {
        co_await page(conn);
        conn.close();
    } catch (...) {
        conn.abort();
    }
}

bool try_to_spawn(scope& visitors, connection conn, const status_endpoint& page) noexcept
{
    try {
        visitors.spawn(visit(std::move(conn), page), "status");
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

}  // namespace

status_endpoint::status_endpoint(status_options options) : options_(options) {}

/// Reads a request and makes its answer; empty: nobody waits for one.
task<std::string> status_endpoint::answer(connection& conn) const
{
    auto reading = as_result(
        with_deadline(options_.time_max, conn.read_until("\r\n\r\n", options_.head_size_max)));
    const result<std::string> read = co_await reading;
    if (!read && read.error() == std::errc::timed_out)
        co_return answer_text(page_of(408), true);
    if (!read && read.error() == std::errc::message_size)
        co_return answer_text(page_of(431), true);
    if (!read || read->empty())
        co_return std::string{};
    const internal::http_head head = internal::parse_http_head(*read);
    co_return answer_text(find_page(head), head.method != "HEAD");
}

task<> status_endpoint::operator()(connection& conn) const
{
    const std::string text = co_await answer(conn);
    if (text.empty())
        co_return;
    auto sending = as_result(with_deadline(options_.time_max, send(conn, text)));
    co_await sending;
}

task<> serve_status(listener at, status_endpoint page)
{
    scope visitors;
    for (;;) {
        auto accepting = as_result(at.accept());
        result<connection> accepted = co_await accepting;
        if (!accepted && accepted.error() == std::errc::operation_canceled)
            break;
        if (accepted && visitors.size() >= visitors_max)
            accepted->abort();
        else if (accepted && try_to_spawn(visitors, std::move(*accepted), page))
            continue;
        // No descriptor, no memory, or too many visitors: some go in a moment.
        auto pausing = as_result(sleep_for(accept_pause));
        co_await pausing;
    }
    visitors.stop();
    co_await visitors.join();
}

}  // namespace whence::inline v0

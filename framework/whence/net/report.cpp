#include <whence/net/report.hpp>

#include <whence/coro/task_dump.hpp>
#include <whence/net/server_metrics.hpp>
#include <whence/runtime/json_line.hpp>
#include <whence/runtime/runtime.hpp>

namespace whence::inline v0::internal {

namespace {

constexpr std::size_t tasks_max = 16;

/// Makes a line and logs it. Without memory there is a line less.
template <class Log>
void try_to_log(Log log) noexcept
{
    try {
        log();
    } catch (const std::bad_alloc&) {
    }
}

/// Logs what `fill` adds to the event, at the rate for what strangers can cause.
template <class Fill>
void report(std::string_view event, Fill fill) noexcept
{
    try_to_log([&] {
        json_object line = json_line(event);
        fill(line);
        runtime::current().reports().line(line);
    });
}

}  // namespace

void report_refusal(const connection& conn, const verdict& why) noexcept
{
    if (why.quiet())
        return;
    report("refused", [&](json_object& line) {
        line.add("reason", why.reason());
        if (!why.detail().empty())
            line.add("detail", why.detail());
        if (conn.origin() == origin::proxied)
            line.add("client", conn.client());
        line.add("peer", conn.peer()).add("local", conn.local());
    });
}

void report_failure(const connection& conn, std::string_view what) noexcept
{
    report("session_failed", [&](json_object& line) {
        line.add("error", what)
            .add("client", conn.client())
            .add("peer", conn.peer())
            .add("local", conn.local());
    });
}

void report_accept_failure(const endpoint& local, const std::error_code& error) noexcept
{
    report("accept_failed",
           [&](json_object& line) { line.add("local", local).add("error", error.message()); });
}

void report_cut_drain(scope& sessions) noexcept
{
    try_to_log([&sessions] {
        std::string waiting;
        for (const strand* task : oldest_tasks(sessions, tasks_max)) {
            waiting += waiting.empty() ? '[' : ',';
            describe_task(*task, now(), waiting);
        }
        const json_object line = json_line("drain_cut_short")
                                     .add("runtime", u64{runtime::current().index()})
                                     .add("sessions", u64{sessions.size()})
                                     .add_json("waiting_at", waiting + ']');
        runtime::current().errors().line(line.text());
    });
}

void describe(const connection& conn, std::string& out)
{
    json_object facts;
    facts.add("client", conn.client()).add("peer", conn.peer()).add("local", conn.local());
    if (const server_metrics* counted = conn.metrics())
        facts.add("listener", counted->listener());
    std::string text = facts.text();  // {"client":...}
    text.front() = ',';
    text.pop_back();
    out += text;
}

}  // namespace whence::inline v0::internal

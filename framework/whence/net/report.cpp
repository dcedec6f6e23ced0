#include <whence/net/report.hpp>

#include <whence/coro/task_dump.hpp>
#include <whence/net/server_metrics.hpp>
#include <whence/runtime/json_line.hpp>
#include <whence/runtime/runtime.hpp>

namespace whence::inline v0::internal {

namespace {

constexpr std::size_t tasks_max = 16;

}  // namespace

void report_refusal(const connection& conn, const verdict& why) noexcept
{
    if (why.quiet())
        return;
    runtime::current().reports().event("refused", [&](json_object& line) {
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
    runtime::current().reports().event("session_failed", [&](json_object& line) {
        line.add("error", what)
            .add("client", conn.client())
            .add("peer", conn.peer())
            .add("local", conn.local());
    });
}

void report_accept_failure(const endpoint& local, const std::error_code& error) noexcept
{
    runtime::current().reports().event("accept_failed", [&](json_object& line) {
        line.add("local", local).add("error", error.message());
    });
}

void report_cut_drain(scope& sessions) noexcept
{
    try {
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
    } catch (const std::bad_alloc&) {
        // A line less.
    }
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

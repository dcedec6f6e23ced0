#include <whence/net/report.hpp>

#include <whence/runtime/json_line.hpp>
#include <whence/runtime/runtime.hpp>

namespace whence {

namespace {

/// Logs what `fill` adds to the event, and whom it concerns. Without memory there is a line less.
template <class Fill>
void report(std::string_view event, const connection& conn, Fill fill) noexcept
{
    try {
        json_object line = json_line(event);
        fill(line);
        line.add("peer", conn.peer()).add("local", conn.local());
        runtime::current().reports().line(line);
    } catch (const std::bad_alloc&) {
    }
}

}  // namespace

void report_refusal(const connection& conn, const verdict& why) noexcept
{
    if (why.quiet())
        return;
    report("refused", conn, [&why](json_object& line) {
        line.add("reason", why.reason());
        if (!why.detail().empty())
            line.add("detail", why.detail());
    });
}

void report_failure(const connection& conn, std::string_view what) noexcept
{
    report("session_failed", conn,
           [&](json_object& line) { line.add("error", what).add("client", conn.client()); });
}

}  // namespace whence

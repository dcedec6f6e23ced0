#include <whence/net/report.hpp>

#include <whence/runtime/json_line.hpp>
#include <whence/runtime/runtime.hpp>

namespace whence {

void report_refusal(const connection& conn, const verdict& why)
{
    if (why.quiet())
        return;
    json_object line = json_line("refused");
    line.add("reason", why.reason());
    if (!why.detail().empty())
        line.add("detail", why.detail());
    runtime::current().report(line.add("peer", conn.peer()).add("local", conn.local()));
}

}  // namespace whence

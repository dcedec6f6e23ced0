#pragma once

#include <whence/coro/scope.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace whence::inline v0 {

/// Bounds a dump: a server of 100,000 sessions is told in some ten kilobytes.
struct task_dump_options {
    std::size_t tasks_max = 100;  // told one by one, those that wait longest first
    std::size_t places_max = 50;  // told by count; what waits elsewhere is one place more
};

/// Appends one JSON line for each place where tasks wait below `top`, and one for each of those
/// that wait longest.
///   {"event":"tasks","count":3,"places":2}
///   {"event":"tasks_at","at":"file.cpp:33","function":"task<> f()","count":2,"oldest_ms":1500}
///   {"event":"task","at":...,"function":...,"state":"waiting","for_ms":1500,"in":"root/sessions",
///    "name":"keep_alive","client":"203.0.113.7:4242",...}
/// shape: `state` is waiting, ready (its turn comes), stopped (cancelled, and not yet ended) or
/// running (it asks); `in` names the scopes from the root down; what the scope's label tells of the
/// subject comes last. The clock is that of the loop: `for_ms` counts from the turn in which the
/// task ran last. limits: by the thread that runs the loop, or while that stands still. errors:
/// std::bad_alloc.
void dump_tasks(cancel_scope& top, time_point now, std::string& out,
                const task_dump_options& options = {});

/// Appends a strand as one JSON object; what a line of a dump holds.
/// shape: `first`: members to begin with, such as R"("event":"task",)".
void describe_task(const strand& task, time_point now, std::string& out,
                   std::string_view first = {});

/// Gives the strands below `top` that have waited longest, at most `count_max`, the oldest first.
/// errors: std::bad_alloc.
std::vector<const strand*> oldest_tasks(cancel_scope& top, std::size_t count_max);

}  // namespace whence::inline v0

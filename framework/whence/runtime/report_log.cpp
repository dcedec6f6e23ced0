#include <whence/runtime/report_log.hpp>

#include <whence/coro/strand.hpp>

namespace whence::inline v0 {

namespace {

constexpr u32 lines_per_second = 100;
constexpr u32 lines_burst = 500;
constexpr nanoseconds count_delay = 1s;

}  // namespace

report_log::report_log(log_sink& to) noexcept
    : timer(&on_due), to_(&to), limit_(lines_per_second, lines_burst)
{}

report_log::~report_log()
{
    expects(!armed(), "the runtime's end tells what was held back");
}

/// Tells whether an event may be logged now; if so, what was held back is told first.
bool report_log::pass() noexcept
{
    if (!limit_.pass(now())) {
        if (!armed())
            internal::ctx.running->timers().arm(*this, now() + count_delay);
        return false;
    }
    tell_held_back();
    return true;
}

void report_log::tell_held_back() noexcept
{
    if (armed())
        internal::ctx.running->timers().disarm(*this);
    if (const u64 held_back = limit_.take_held_back())
        write("log_rate_limited", [=](json_object& line) { line.add("count", held_back); });
}

void report_log::on_due(timer& self) noexcept
{
    static_cast<report_log&>(self).tell_held_back();
}

}  // namespace whence::inline v0

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

template <class Make>
void report_log::write(Make text) noexcept
{
    try {
        to_->line(text());
    } catch (const std::bad_alloc&) {
        // A line less.
    }
}

void report_log::line(const json_object& event) noexcept
{
    if (!limit_.pass(now())) {
        ++held_back_;
        if (!armed())
            internal::ctx.running->timers().arm(*this, now() + count_delay);
        return;
    }
    tell_held_back();
    write([&event] { return event.text(); });
}

void report_log::tell_held_back() noexcept
{
    if (armed())
        internal::ctx.running->timers().disarm(*this);
    if (const u64 held_back = limit_.take_held_back())
        write([=] { return json_line("log_rate_limited").add("count", held_back).text(); });
}

void report_log::on_due(timer& self) noexcept
{
    static_cast<report_log&>(self).tell_held_back();
}

}  // namespace whence::inline v0

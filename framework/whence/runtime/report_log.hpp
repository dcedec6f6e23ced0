#pragma once

#include <whence/coro/timing_wheel.hpp>
#include <whence/runtime/json_line.hpp>
#include <whence/runtime/log_sink.hpp>
#include <whence/runtime/rate_limit.hpp>

namespace whence::inline v0 {

/// Logs events that strangers can cause: a storm of them is cut down to some lines a second and
/// their count, which is told a second later at the latest. Without memory there is a line less.
/// limits: one thread, that of the runtime in which it logs.
class report_log : timer {
public:
    explicit report_log(log_sink& to) noexcept;
    ~report_log();

    /// Goes on with another sink.
    void write_to(log_sink& to) noexcept { to_ = &to; }

    /// Logs an event with what `fill(line)` adds to it. A held-back one is counted before anything
    /// is built.
    template <class Fill>
    void event(std::string_view name, const Fill& fill) noexcept
    {
        if (pass())
            write(name, fill);
    }

    /// Writes the count of what was held back, if anything was.
    void tell_held_back() noexcept;

    /// Counts what was held back since the start.
    u64 held_back() const noexcept { return limit_.held_back(); }

private:
    template <class Fill>
    void write(std::string_view name, const Fill& fill) noexcept
    {
        try {
            json_object line = json_line(name);
            fill(line);
            to_->line(line.text());
        } catch (const std::bad_alloc&) {
            // A line less.
        }
    }
    bool pass() noexcept;
    static void on_due(timer& self) noexcept;

    log_sink* to_;
    rate_limit limit_;
};

}  // namespace whence::inline v0

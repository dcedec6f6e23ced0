#pragma once

#include <whence/coro/event.hpp>
#include <whence/coro/task_dump.hpp>
#include <whence/runtime/log_sink.hpp>
#include <whence/runtime/report_log.hpp>
#include <whence/runtime/runtime_metrics.hpp>

namespace whence::inline v0 {

/// Runs strands on one thread over one driver.
///
///   turn:  run who is ready -> fire timers -> driver: submit, wait, deliver -> again
///
/// limits: used by the thread that runs it, wake() of its driver aside.
class runtime final : public loop {
public:
    /// Over an io_uring of its own.
    /// errors: driver_unavailable.
    runtime();
    explicit runtime(std::unique_ptr<driver> io);
    ~runtime() override;

    /// Runs `main`, and all that it leaves in root(), to the end.
    /// errors: rethrows what `main` threw, else what was left in root() did, after everything has
    /// ended.
    void run(task<> main);

    /// The runtime that runs the calling coroutine.
    static runtime& current() noexcept { return static_cast<runtime&>(*internal::ctx.running); }

    driver& io() noexcept { return *io_; }
    scope& root() noexcept { return root_; }

    /// Set when the process is asked to end: listeners stop accepting and sessions finish.
    event& drain() noexcept { return drain_; }
    /// Set by SIGHUP; whoever acts on it resets it.
    event& hangup() noexcept { return hangup_; }

    /// Take log lines for stderr and stdout.
    log_sink& errors() noexcept { return errors_; }
    log_sink& output() noexcept { return output_; }
    /// Takes events that strangers can cause, for stderr, at a limited rate.
    report_log& reports() noexcept { return reports_; }

    /// Holds what this runtime counts; any thread may read it while the runtime lives.
    runtime_metrics& metrics() noexcept { return metrics_; }

    /// Tells in JSON lines where the tasks wait, for how long and for whom (coro/task_dump.hpp).
    /// limits: by the runtime's own thread, or one for which that stands still.
    /// errors: std::bad_alloc.
    std::string dump_tasks(const task_dump_options& options = {});
    /// Writes the same to stderr. Without memory, or without room in the log, there are lines less.
    void log_tasks(const task_dump_options& options = {}) noexcept;

private:
    time_point read_clock() noexcept override { return io_->now(); }
    void turn() noexcept;
    void count_turn(time_point begun) noexcept;

    std::unique_ptr<driver> io_;
    log_sink errors_;
    log_sink output_;
    report_log reports_;
    runtime_metrics metrics_;
    u64 completions_counted_ = 0;
    event drain_;
    event hangup_;
    scope root_{scope::root_tag{}};
};

}  // namespace whence::inline v0

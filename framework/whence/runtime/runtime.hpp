#pragma once

#include <whence/coro/event.hpp>
#include <whence/coro/task_dump.hpp>
#include <whence/runtime/inbox.hpp>
#include <whence/runtime/log_sink.hpp>
#include <whence/runtime/report_log.hpp>
#include <whence/runtime/runtime_metrics.hpp>

#include <span>

namespace whence::inline v0 {

namespace internal {
class offload_pool;
}

/// Runs strands on one thread over one driver.
///
///   turn:  run who is ready -> fire timers -> inbox -> driver: submit, wait, deliver -> again
///
/// limits: used by the thread that runs it, except where it says "from any thread".
class runtime final : public loop {
public:
    /// Over a driver of its own, chosen by open_driver().
    /// errors: driver_unavailable, std::system_error.
    runtime();
    explicit runtime(std::unique_ptr<driver> io);
    ~runtime() override;

    /// Runs `main`, and all that it leaves in root(), to the end.
    /// errors: rethrows what `main` threw, else what was left in root() did, after everything has
    /// ended.
    void run(task<> main);

    /// Do the same for whoever has a loop of their own (a simulation, another event loop): start(),
    /// then step() until it has ended(), then finish().
    void start(task<> main);
    /// Does what can be done without waiting, and tells for how long that holds, unless the driver
    /// has something before: zero: step again; nanoseconds::max(): for ever.
    nanoseconds step() noexcept;
    bool ended() const noexcept { return root_.size() == 0; }
    /// errors: as run().
    void finish();

    /// The runtime that runs the calling coroutine.
    static runtime& current() noexcept { return static_cast<runtime&>(*internal::ctx.running); }

    driver& io() noexcept { return *io_; }
    scope& root() noexcept { return root_; }

    /// Takes messages for this runtime, from any thread.
    internal::inbox& mail() noexcept { return mail_; }
    /// The runtimes of the program, this one among them: see runtime_group. From any thread.
    std::span<runtime* const> group() const noexcept { return group_; }
    /// Where this one stands in its group.
    std::size_t index() const noexcept { return index_; }

    /// Set when the process is asked to end: listeners stop accepting and sessions finish.
    event& drain() noexcept { return drain_; }
    /// Set by SIGHUP; whoever acts on it resets it.
    event& hangup() noexcept { return hangup_; }
    /// Sets drain(), from any thread.
    void ask_to_drain() noexcept { drain_asked_.raise(); }
    /// Stops root() and with it all tasks, from any thread.
    void ask_to_stop() noexcept { stop_asked_.raise(); }
    /// Calls log_tasks(), from any thread.
    void ask_to_log_tasks() noexcept { dump_asked_.raise(); }

    /// Take log lines for stderr and stdout: one pair for the whole group, from any thread.
    log_sink& errors() noexcept { return group_[0]->errors_; }
    log_sink& output() noexcept { return group_[0]->output_; }
    /// Takes events that strangers can cause, for stderr, at a limited rate.
    report_log& reports() noexcept { return reports_; }

    internal::offload_pool& offloading() noexcept { return *group_[0]->offloading_; }

    /// Holds what this runtime counts; any thread may read it while the runtime lives.
    runtime_metrics& metrics() noexcept { return metrics_; }

    /// Tells in JSON lines where the tasks wait, for how long and for whom (coro/task_dump.hpp).
    /// limits: by the runtime's own thread, or one for which that stands still.
    /// errors: std::bad_alloc.
    std::string dump_tasks(const task_dump_options& options = {});
    /// Writes the same to stderr, "runtime":0 and so on at the end of each line. Without memory, or
    /// without room in the log, there are lines less.
    void log_tasks(const task_dump_options& options = {}) noexcept;

private:
    friend class runtime_group;
    class entered;
    void run(task<> main, std::atomic<std::size_t>& still_running);
    void spawn_main(task<> main);
    void rethrow_failure();
    time_point read_clock() noexcept override { return io_->now(); }
    void turn(nanoseconds wait_max) noexcept;
    nanoseconds idle_time() noexcept;
    void count_turn(time_point begun) noexcept;

    std::unique_ptr<driver> io_;
    internal::inbox mail_;
    runtime* const alone_[1] = {this};
    std::span<runtime* const> group_{alone_};
    std::size_t index_ = 0;
    bool lingering_ = false;  // has ended, and waits for the others of its group
    bool more_mail_ = false;  // in the last turn it has sent some to itself
    internal::context
        context_;  // the thread's, while it does not run; whose it is outside, while it does
    std::exception_ptr failure_;  // of the main task
    std::exception_ptr cancellation_;
    log_sink errors_;
    log_sink output_;
    report_log reports_;
    runtime_metrics metrics_;
    u64 completions_counted_ = 0;
    scope root_{scope::root_tag{}};
    event drain_;
    event hangup_;
    event over_;  // set when its group comes to its end
    internal::notice drain_asked_;
    internal::notice dump_asked_;
    internal::notice over_asked_;
    internal::notice stop_asked_;
    std::unique_ptr<internal::offload_pool> offloading_;
};

}  // namespace whence::inline v0

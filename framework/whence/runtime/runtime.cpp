#include <whence/runtime/runtime.hpp>

#include <whence/runtime/offload.hpp>
#include <whence/runtime/open_driver.hpp>

namespace whence::inline v0 {

namespace {

constexpr nanoseconds flush_time_max = 1s;  // for log lines, once everything else has ended
constexpr int stdout_fd = 1;
constexpr int stderr_fd = 2;

/// Makes a runtime the thread's own while it runs; the one before comes back afterwards, so that a
/// simulation can host several.
class running_here {
public:
    explicit running_here(runtime& self) noexcept
        : before_(std::exchange(internal::ctx, internal::context{})),
          pool_before_(internal::current_pool)
    {
        internal::ctx.running = &self;
        internal::current_pool = &self.io().buffers();
    }
    ~running_here()
    {
        internal::ctx = before_;
        internal::current_pool = pool_before_;
    }
    running_here(const running_here&) = delete;
    running_here& operator=(const running_here&) = delete;

private:
    internal::context before_;
    buffer_pool* pool_before_;
};

task<> keep_outcome(task<> work, std::exception_ptr& failed, std::exception_ptr& stopped)
{
    try {
        co_await work;
    } catch (const cancelled&) {
        stopped = std::current_exception();
    } catch (...) {
        failed = std::current_exception();
    }
}

void set(void* asked_for) noexcept
{
    static_cast<event*>(asked_for)->set();
}

}  // namespace

runtime::runtime() : runtime(open_driver()) {}

runtime::runtime(std::unique_ptr<driver> io)
    : loop(io->now()), io_(std::move(io)), mail_(*io_, *this), errors_(*io_, mail_, stderr_fd),
      output_(*io_, mail_, stdout_fd), reports_(errors_), metrics_(io_->wall_now(), io_->name()),
      drain_asked_(mail_, &set, &drain_),
      dump_asked_(
          mail_, [](void* self) noexcept { static_cast<runtime*>(self)->log_tasks(); }, this),
      over_asked_(mail_, &set, &over_),
      stop_asked_(
          mail_, [](void* root) noexcept { static_cast<scope*>(root)->stop(); }, &root_),
      offloading_(std::make_unique<internal::offload_pool>())
{}

runtime::~runtime()
{
    output_.flush(flush_time_max);
    errors_.flush(flush_time_max);
}

void runtime::run(task<> main)
{
    std::atomic<std::size_t> still_running{1};
    run(std::move(main), still_running);
}

/// Turns until all of the group have come to their end: until then, another may still call.
void runtime::run(task<> main, std::atomic<std::size_t>& still_running)
{
    running_here here{*this};
    std::exception_ptr failure;
    std::exception_ptr cancellation;
    try {
        root_.spawn(keep_outcome(std::move(main), failure, cancellation));
    } catch (const std::bad_alloc&) {
        failure = std::current_exception();
    }
    while (root_.size() != 0)
        turn();
    lingering_ = true;
    if (still_running.fetch_sub(1) == 1) {
        for (runtime* const other : group_) {
            if (other != this)
                other->io().wake();
        }
    }
    while (still_running.load() != 0)
        turn();
    lingering_ = false;
    reports_.tell_held_back();
    // Nobody joins the root: what failed there has stopped main and is the run's failure.
    const std::exception_ptr failure_of_root = scope::join_awaiter{root_}.outcome();
    for (const std::exception_ptr& error : {failure, failure_of_root, cancellation}) {
        if (error)
            std::rethrow_exception(error);
    }
}

std::string runtime::dump_tasks(const task_dump_options& options)
{
    std::string out;
    whence::dump_tasks(root_, io_->now(), out, options);
    return out;
}

void runtime::log_tasks(const task_dump_options& options) noexcept
{
    try {
        const std::string lines = dump_tasks(options);
        // The lines of several runtimes come mixed.
        const std::string who = ",\"runtime\":" + std::to_string(index_) + '}';
        for (std::size_t at = 0; at < lines.size();) {
            const std::size_t end = lines.find('\n', at);
            errors().line(lines.substr(at, end - at - 1) + who);
            at = end + 1;
        }
    } catch (const std::bad_alloc&) {
        // Memory is what is missing.
    }
}

void runtime::turn() noexcept
{
    const time_point begun = now();
    internal::run_ready();
    timers().advance(now());
    const bool more_mail = mail_.deliver();
    nanoseconds at_most = nanoseconds::zero();
    if (!more_mail && !internal::anyone_ready() && (root_.size() != 0 || lingering_)) {
        const auto due = timers().next_due();
        at_most = due ? std::max(*due - now(), nanoseconds{1}) : nanoseconds::max();
    }
    count_turn(begun);
    io_->wait(at_most);
    forget_now();
}

/// Counts how long the turn took that ends now, and what the wait before it brought.
void runtime::count_turn(time_point begun) noexcept
{
    const u64 completions = io_->metrics().completions.value();
    metrics_.turn(io_->now() - begun,
                  completions - std::exchange(completions_counted_, completions));
    metrics_.sample(*io_, errors_.dropped() + output_.dropped(), reports_.held_back());
}

}  // namespace whence::inline v0

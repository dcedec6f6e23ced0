#include <whence/runtime/runtime.hpp>

#include <whence/runtime/offload.hpp>
#include <whence/runtime/open_driver.hpp>

namespace whence::inline v0 {

namespace {

constexpr nanoseconds flush_time_max = 1s;  // for log lines, once everything else has ended
constexpr int stdout_fd = 1;
constexpr int stderr_fd = 2;

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

/// Makes a runtime the thread's own for as long as this lives; the one before comes back
/// afterwards, so that one thread can host several.
class runtime::entered {
public:
    explicit entered(runtime& self) noexcept
        : self_(self), pool_before_(internal::current_pool),
          sockets_before_(internal::current_sockets)
    {
        std::swap(internal::ctx, self_.context_);
        internal::current_pool = &self_.io().buffers();
        internal::current_sockets = &self_.io().sockets();
    }
    ~entered()
    {
        std::swap(internal::ctx, self_.context_);
        internal::current_pool = pool_before_;
        internal::current_sockets = sockets_before_;
    }
    entered(const entered&) = delete;
    entered& operator=(const entered&) = delete;

private:
    runtime& self_;
    buffer_pool* pool_before_;
    socket_calls* sockets_before_;
};

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
{
    context_.running = this;
}

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
    const entered here{*this};
    spawn_main(std::move(main));
    while (!ended())
        turn(nanoseconds::max());
    lingering_ = true;
    if (still_running.fetch_sub(1) == 1) {
        for (runtime* const other : group_) {
            if (other != this)
                other->io().wake();
        }
    }
    while (still_running.load() != 0)
        turn(nanoseconds::max());
    lingering_ = false;
    rethrow_failure();
}

void runtime::start(task<> main)
{
    const entered here{*this};
    spawn_main(std::move(main));
}

nanoseconds runtime::step() noexcept
{
    const entered here{*this};
    forget_now();  // the step before looked how long to wait
    const u64 completions = io_->metrics().completions.value();
    turn(nanoseconds::zero());
    // What was delivered may have left something to submit, or announce mail: the next turn's work.
    return io_->metrics().completions.value() != completions ? nanoseconds::zero() : idle_time();
}

void runtime::finish()
{
    const entered here{*this};
    expects(ended(), "a runtime is finished once its tasks have ended");
    rethrow_failure();
}

void runtime::spawn_main(task<> main)
{
    failure_ = cancellation_ = nullptr;
    try {
        root_.spawn(keep_outcome(std::move(main), failure_, cancellation_));
    } catch (const std::bad_alloc&) {
        failure_ = std::current_exception();
    }
}

void runtime::rethrow_failure()
{
    reports_.tell_held_back();
    // Nobody joins the root: what failed there has stopped main and is the run's failure.
    const std::exception_ptr failure_of_root = scope::join_awaiter{root_}.outcome();
    for (const std::exception_ptr& error : {failure_, failure_of_root, cancellation_}) {
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

void runtime::turn(nanoseconds wait_max) noexcept
{
    const time_point begun = now();
    internal::run_ready();
    timers().advance(now());
    more_mail_ = mail_.deliver();
    const nanoseconds at_most = std::min(wait_max, idle_time());
    count_turn(begun);
    io_->wait(at_most);
    forget_now();
}

/// Tells how long nothing will be to do, as far as is known here.
nanoseconds runtime::idle_time() noexcept
{
    if (more_mail_ || internal::anyone_ready() || (ended() && !lingering_))
        return nanoseconds::zero();
    const auto due = timers().next_due();
    return due ? std::max(*due - now(), nanoseconds{1}) : nanoseconds::max();
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

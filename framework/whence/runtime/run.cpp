#include <whence/runtime/run.hpp>

#include <whence/coro/yield.hpp>
#include <whence/runtime/invoke_on.hpp>
#include <whence/runtime/json_line.hpp>
#include <whence/runtime/service_manager.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

namespace whence::inline v0 {

namespace {

/// Opens what is closed of stdin, stdout and stderr, so that no socket gets a log's number.
void fill_standard_descriptors() noexcept
{
    int fd = 0;
    do
        fd = ::open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        ::close(fd);
}

/// Lets the program have as many descriptors as it may ask for: the soft limit is low for the sake
/// of programs that use select(2).
void raise_descriptor_limit() noexcept
{
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/// Takes the signals of a server out of their default ways, and puts them back.
class signal_source {
public:
    signal_source()
    {
        sigemptyset(&wanted_);
        for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1})
            sigaddset(&wanted_, signal);
        pthread_sigmask(SIG_BLOCK, &wanted_, &before_);
        // A log whose reader has gone is no reason to die; sockets never raise it here.
        pipe_before_ = std::signal(SIGPIPE, SIG_IGN);
        fd_ = signalfd(-1, &wanted_, SFD_CLOEXEC);
        if (fd_ < 0)
            throw std::system_error(errno, std::system_category(), "signalfd");
    }
    ~signal_source()
    {
        ::close(fd_);
        // One that came too late to be read has asked for what has just happened; left pending, it
        // would kill the program now that its default way is back.
        const timespec at_once{};
        while (sigtimedwait(&wanted_, nullptr, &at_once) > 0) {
        }
        std::signal(SIGPIPE, pipe_before_);
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    signal_source(const signal_source&) = delete;
    signal_source& operator=(const signal_source&) = delete;

    int fd() const noexcept { return fd_; }

private:
    int fd_;
    sigset_t wanted_;
    sigset_t before_;
    void (*pipe_before_)(int);
};

/// Awaits one read from a descriptor that is no connection.
class read_awaiter {
public:
    read_awaiter(int fd, mutable_bytes into) noexcept : fd_(fd), into_(into) {}

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) noexcept
    {
        strand& self = *internal::ctx.current;
        self.what = verb::read;
        self.fd = fd_;
        self.data = into_.data();
        self.size = static_cast<u32>(into_.size());
        self.offset = 0;
        return start_wait(runtime::current().io(), waiter);
    }
    std::error_code outcome() const noexcept
    {
        const int result = internal::ctx.current->result;
        return error_of(result < 0 ? -result : 0);
    }

private:
    int fd_;
    mutable_bytes into_;
};

constexpr std::string_view no_memory_for_hangup =
    R"({"event":"error","error":"no memory to act on SIGHUP"})";

/// Sets the event, and lets who waits for it begin: whoever reloads takes a notice of its own.
task<> hang_up_here()
{
    runtime::current().hangup().set();
    co_await yield{};
}

task<> hang_up(std::span<runtime* const> runtimes)
{
    const reload_notice told;
    try {
        for (runtime* const each : runtimes)
            co_await invoke_on(*each, &hang_up_here);
    } catch (const std::bad_alloc&) {
        runtime::current().errors().line(no_memory_for_hangup);
    }
}

task<> watch_signals(int fd, scope& work, scope& watch)
{
    const auto runtimes = runtime::current().group();
    bool draining = false;
    signalfd_siginfo info{};
    for (;;) {
        note_wait(std::source_location::current());
        auto reading = as_result(read_awaiter{fd, std::as_writable_bytes(std::span{&info, 1})});
        const std::error_code error = co_await reading;
        if (error)
            co_return;
        if (info.ssi_signo == SIGHUP) {
            try {
                watch.spawn(hang_up(runtimes), "hangup");
            } catch (const std::bad_alloc&) {
                runtime::current().errors().line(no_memory_for_hangup);
            }
        } else if (info.ssi_signo == SIGUSR1) {
            for (runtime* const each : runtimes)
                each->ask_to_log_tasks();
        } else if (!std::exchange(draining, true)) {
            notify_stopping();
            for (runtime* const each : runtimes)
                each->ask_to_drain();
        } else {
            work.stop();
        }
    }
}

task<> supervise(task<> main, int signals)
{
    scope work;
    scope watch;
    // All are made before one is spawned: what finds no memory leaves nothing to join.
    internal::spawned program = internal::strand_of(std::move(main));
    internal::spawned signal_watch = internal::strand_of(watch_signals(signals, work, watch));
    internal::spawned watchdog = internal::strand_of(feed_watchdog());
    program.set_name("main");
    signal_watch.set_name("signals");
    watchdog.set_name("watchdog");
    work.spawn(std::move(program));
    watch.spawn(std::move(signal_watch));
    watch.spawn(std::move(watchdog));
    auto join = as_result(work.join());
    const std::exception_ptr failure = co_await join;
    watch.stop();
    co_await watch.join();
    if (failure)
        std::rethrow_exception(failure);
}

constexpr int failed = 1;
constexpr int no_such_driver = 2;  // as for any other option that cannot be had

int fail(const char* what, int status = failed) noexcept
{
    // No runtime, or one that has ended: written directly.
    const std::string line = json_line("error").add("error", what).text();
    std::fprintf(stderr, "%s\n", line.c_str());
    return status;
}

}  // namespace

int run(task<> main, runtime_options options) noexcept
{
    fill_standard_descriptors();
    raise_descriptor_limit();
    const bool wants_ring = options.driver == driver_choice::io_uring;
    try {
        const signal_source signals;
        runtime_group all{std::move(options)};
        all.run(supervise(std::move(main), signals.fd()));
        return 0;
    } catch (const driver_unavailable& error) {
        return fail(error.what(), wants_ring ? no_such_driver : failed);
    } catch (const std::exception& error) {
        return fail(error.what());
    } catch (...) {
        return fail("an exception of unknown type");
    }
}

}  // namespace whence::inline v0

#include <whence/runtime/runtime_group.hpp>

#include <whence/runtime/offload.hpp>

#include <pthread.h>
#include <sched.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

namespace whence::inline v0 {

namespace {

constexpr u32 threads_max = 1024;

std::vector<int> cpus_of_process()
{
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<int> cpus;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (CPU_ISSET(cpu, &set))
                cpus.push_back(cpu);
        }
    }
    return cpus;
}

u32 threads_of(const runtime_options& options, std::size_t cpus)
{
    if (options.threads > threads_max)
        throw std::invalid_argument("threads: at most " + std::to_string(threads_max));
    if (options.pin && options.threads > cpus)
        throw std::invalid_argument("threads: " + std::to_string(options.threads) +
                                    " cannot be pinned to " + std::to_string(cpus) + " CPUs");
    if (options.pin && cpus == 0)
        throw std::invalid_argument("pin: the system does not tell which CPUs there are");
    if (options.offload_threads == 0)
        throw std::invalid_argument("offload_threads: at least 1");
    return options.threads != 0 ? options.threads : std::max(1u, static_cast<u32>(cpus));
}

/// Keeps the calling thread on some CPUs.
void stay_on(std::span<const int> cpus)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int cpu : cpus)
        CPU_SET(static_cast<std::size_t>(cpu), &set);
    if (const int error = pthread_setaffinity_np(pthread_self(), sizeof set, &set))
        throw std::system_error(error, std::system_category(), "pthread_setaffinity_np");
}

}  // namespace

runtime_group::runtime_group(runtime_options options)
    : options_(std::move(options)), cpus_(cpus_of_process()),
      runtimes_(threads_of(options_, cpus_.size())), still_running_(runtimes_.size()),
      opened_(static_cast<std::ptrdiff_t>(runtimes_.size() - 1)),
      ended_(static_cast<std::ptrdiff_t>(runtimes_.size()))
{
    threads_.reserve(runtimes_.size() - 1);
    try {
        if (options_.pin)
            stay_on({&cpus_[0], 1});
        first_ = std::make_unique<runtime>(open_io());
        if (options_.driver == driver_choice::automatic)
            options_.driver = first_->io().name() == std::string_view{"asio"}
                                  ? driver_choice::asio
                                  : driver_choice::io_uring;
        first_->offloading_->set_up(options_.offload_threads, leave_cpu());
        join(*first_, 0);
        while (threads_.size() + 1 < runtimes_.size())
            threads_.emplace_back(&runtime_group::work, this, threads_.size() + 1);
        opened_.wait();
        if (failure_)
            std::rethrow_exception(failure_);
    } catch (...) {
        dismiss();
        throw;
    }
}

runtime_group::~runtime_group()
{
    dismiss();
}

std::unique_ptr<driver> runtime_group::open_io() const
{
    return options_.open_driver ? options_.open_driver()
                                : open_driver(options_.driver, options_.io);
}

/// Waits for the other threads; they end at once when nothing has been run.
void runtime_group::dismiss() noexcept
{
    if (!running_)
        start_.count_down();
    // A thread that has just given a call back may still be waking the runtime that made it.
    if (first_)
        first_->offloading_.reset();
    leave_.count_down();
    for (std::thread& thread : threads_)
        thread.join();
    if (!options_.pin)
        return;
    try {
        stay_on(cpus_);
    } catch (const std::system_error&) {
        // The thread stays where it is, and works there as well.
    }
}

/// Gives what takes a new thread off the CPU of the pinned one that started it.
std::function<void()> runtime_group::leave_cpu() const
{
    if (!options_.pin)
        return {};
    return [cpus = cpus_] {
        try {
            stay_on(cpus);
        } catch (const std::system_error&) {
            // It stays, and works there as well.
        }
    };
}

/// Makes a runtime a member; in its thread.
void runtime_group::join(runtime& here, std::size_t index) noexcept
{
    runtimes_[index] = &here;
    here.group_ = runtimes_;
    here.index_ = index;
    here.reports_.write_to(first_->errors_);
}

/// Keeps the exception that is being handled.
void runtime_group::failed() noexcept
{
    const std::lock_guard guard{lock_};
    if (!failure_)
        failure_ = std::current_exception();
}

namespace {

/// Is the main task of the runtimes behind the first: waits for the group's end, or for something
/// in this root to fail.
task<> stand_by(event& over, internal::notice& stop_first)
{
    auto waiting = as_result(over.wait());
    const std::error_code stopped = co_await waiting;
    if (stopped)
        stop_first.raise();
}

}  // namespace

/// Is the life of a thread behind the first.
void runtime_group::work(std::size_t index) noexcept
{
    const auto open = [&]() -> std::unique_ptr<runtime> {
        const std::string name = "whence-" + std::to_string(index);
        pthread_setname_np(pthread_self(), name.c_str());
        if (options_.pin)
            stay_on({&cpus_[index], 1});
        return std::make_unique<runtime>(open_io());
    };
    std::unique_ptr<runtime> here;
    std::optional<task<>> main;
    try {
        here = open();
        join(*here, index);
        main.emplace(stand_by(here->over_, first_->stop_asked_));
    } catch (...) {
        failed();
    }
    opened_.count_down();
    start_.wait();
    if (!running_)
        return;
    try {
        here->run(std::move(*main), still_running_);
    } catch (...) {
        failed();
    }
    // Until all have ended, one may still want to wake another.
    ended_.count_down();
    leave_.wait();
}

/// Lets the others end when the main task has.
task<> runtime_group::main_task(task<> main)
{
    struct at_end {
        runtime_group& self;
        ~at_end()
        {
            for (runtime* const each : self.runtimes_)
                each->over_asked_.raise();
        }
    };
    const at_end guard{*this};
    co_await main;
}

void runtime_group::run(task<> main)
{
    expects(!running_, "a group runs once");
    std::exception_ptr failure;
    task<> whole = main_task(std::move(main));
    running_ = true;
    start_.count_down();
    try {
        first_->run(std::move(whole), still_running_);
    } catch (...) {
        failure = std::current_exception();
    }
    ended_.arrive_and_wait();
    if (failure_)
        std::rethrow_exception(failure_);
    if (failure)
        std::rethrow_exception(failure);
}

}  // namespace whence::inline v0

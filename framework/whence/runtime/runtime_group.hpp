#pragma once

#include <whence/runtime/open_driver.hpp>
#include <whence/runtime/runtime.hpp>

#include <functional>
#include <latch>
#include <thread>
#include <vector>

namespace whence::inline v0 {

/// Sizes a program's runtimes.
struct runtime_options {
    u32 threads = 1;          // runtimes, one thread each; 0: as many as the process may use CPUs
    bool pin = false;         // each thread stays on a CPU of its own
    u32 offload_threads = 2;  // for offload(); started when first used
    driver_choice driver = driver_choice::automatic;               // the same for all
    driver_options io;                                             // sizes, for each runtime
    std::function<std::unique_ptr<whence::driver>()> open_driver;  // instead of these two, if given
};

/// Runs a program over several runtimes, one thread each: the calling thread has the first of them,
/// which runs the main task. The others serve what is given to them: invoke_on(), serve().
/// shape: connections do not move once they are served; runtimes talk by messages.
class runtime_group {
public:
    /// Opens a driver in each thread.
    /// errors: std::invalid_argument (more threads than 1024, or to be pinned than there are CPUs;
    /// no thread for offload()), driver_unavailable, std::system_error when a thread cannot be had.
    explicit runtime_group(runtime_options options = {});
    runtime_group(const runtime_group&) = delete;
    runtime_group& operator=(const runtime_group&) = delete;
    ~runtime_group();

    /// Runs `main` in the first runtime, and all that it leaves in any root(), to the end. The
    /// runtimes stay until the group goes.
    /// limits: once.
    /// errors: rethrows what `main` threw, else what was left in a root did.
    void run(task<> main);

    std::span<runtime* const> runtimes() const noexcept { return runtimes_; }

private:
    std::unique_ptr<driver> open_io() const;
    void work(std::size_t index) noexcept;
    void join(runtime& here, std::size_t index) noexcept;
    task<> main_task(task<> main);
    std::function<void()> leave_cpu() const;
    void dismiss() noexcept;
    void failed() noexcept;

    runtime_options options_;
    std::vector<int> cpus_;  // that the process may use
    std::vector<runtime*> runtimes_;
    std::mutex lock_;
    std::exception_ptr failure_;  // the first of another thread
    bool running_ = false;        // set before start_
    std::atomic<std::size_t> still_running_;
    std::latch opened_;
    std::latch start_{1};
    std::latch ended_;
    std::latch leave_{1};
    std::unique_ptr<runtime> first_;
    std::vector<std::thread> threads_;
};

}  // namespace whence::inline v0

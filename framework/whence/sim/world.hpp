#pragma once

#include <whence/coro/frame_pool.hpp>
#include <whence/runtime/runtime.hpp>
#include <whence/sim/options.hpp>
#include <whence/sim/random.hpp>

#include <functional>
#include <memory>
#include <stdexcept>

namespace whence::inline v0::sim {

namespace internal {
class network;
class host_driver;
struct stack;
}  // namespace internal

/// Says what went wrong in a simulated world, and with which seed.
class failure : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Says what a world is like, and when its run is given up.
struct world_options {
    u64 seed = 1;
    network_options network;     // between any two hosts, unless world::connect() says more
    nanoseconds time_max = 24h;  // of the world's clock, until run() gives up
    u64 turns_max = 50'000'000;  // of all runtimes
};

/// Is a computer in a world: addresses, sockets, a program in a runtime of its own.
class host {
public:
    ~host();

    /// Starts a program, which begins to run in world::run().
    /// limits: one at a time; one that was killed takes some turns to end (ended()).
    void start(task<> main);
    /// Kills the program: its sockets are closed as the kernel does that, and nothing that it still
    /// does (its tasks are cancelled and end in order) reaches anybody.
    void kill();
    /// Takes the power away: nobody gets an answer any more.
    void switch_off();
    /// Asks the program to drain, as SIGTERM does.
    void ask_to_drain() { here().ask_to_drain(); }

    /// The runtime of the program. limits: once one was started.
    runtime& here() noexcept;
    bool ended() const noexcept;
    const std::string& name() const noexcept { return name_; }
    /// What the program has written to stdout and stderr.
    const std::string& output() const noexcept;
    const std::string& errors() const noexcept;
    std::size_t descriptors_open() const noexcept;
    /// May be changed at any time.
    host_options& options() noexcept;

private:
    friend class world;
    host(internal::network& on, std::string name, const host_options& options);
    bool step();
    void end(bool told);
    std::string left_behind() const;

    std::string name_;
    std::unique_ptr<internal::stack> system_;
    std::unique_ptr<runtime> runtime_;
    internal::host_driver* driver_ = nullptr;
    time_point due_{};
    bool finished_ = true;
    bool killed_ = false;
    std::exception_ptr error_;
};

/// Is a network of hosts without a kernel and without time: the same seed is the same run.
/// shape: programs are ordinary tasks; sockets, timers and logs of theirs are the world's. The
/// clock goes to the next thing that happens, so a day of timeouts takes no time.
/// limits: one thread; the same for offload(), whose threads are real and whose end is not
/// repeatable. Files, UDP and UNIX paths are not simulated (UNIX names without a path are).
class world {
public:
    explicit world(const world_options& options = {});
    /// Kills what still runs.
    ~world();

    host& add_host(std::string name, const host_options& options);
    host& add_host(std::string name, std::vector<std::string> addresses);

    /// Runs until all programs have ended, then checks that they left nothing behind: descriptors,
    /// buffers, timers, frames.
    /// errors: failure, with seed and time; what a program threw, as it is.
    void run();
    /// Runs for that long, or until all have ended.
    /// errors: failure: more turns than turns_max.
    void run_for(nanoseconds time);

    /// Calls `act` at a time since the start; for scripts.
    void at(nanoseconds since_start, std::function<void()> act);
    /// Gives two hosts a network of their own.
    void connect(const host& a, const host& b, const network_options& options);
    /// Let nothing through between two hosts, until they are joined again.
    void part(const host& a, const host& b);
    void join(const host& a, const host& b);

    nanoseconds elapsed() const noexcept;
    /// Draws what a test needs: from the same seed, so the same in every run.
    random& chance() noexcept;
    u64 seed() const noexcept { return options_.seed; }
    /// Is the same number when the same happened.
    u64 digest() const noexcept;
    /// Is called with a line for whatever happens on the network.
    void set_trace(std::function<void(std::string_view)> to);

private:
    bool turn(time_point until);
    bool all_ended() const noexcept;
    void go_on(time_point until);
    void check() const;
    [[noreturn]] void fail(const std::string& why) const;

    world_options options_;
    frame_usage frames_;
    std::unique_ptr<internal::network> network_;
    std::vector<std::unique_ptr<host>> hosts_;
    u64 turns_ = 0;
};

/// Opens the driver of the only host of a world of its own, for a runtime that runs by itself: time
/// passes when it waits. What it writes to stdout and stderr is the process's.
std::unique_ptr<driver> open_driver(const world_options& options = {},
                                    const host_options& host = {});

}  // namespace whence::inline v0::sim

// What do the pieces cost of which every server is made?
//
//   bench/primitives [rounds]      default 21
//
// Inside a running loop, warm. The baseline is a call through a pointer that the compiler cannot
// see through.

#include "measure.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/runtime/runtime.hpp>

#include <cstdlib>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

using namespace whence;
using bench::keep;

namespace {

// ---- the baseline
// -----------------------------------------------------------------------------------

int answer()
{
    return 42;
}
int (*volatile hidden_answer)() = answer;

// ---- tasks
// ------------------------------------------------------------------------------------------

task<int> child()
{
    co_return 42;
}

task<> create_and_await(bench::table& results, int rounds)
{
    constexpr std::size_t repeats = 1'000'000;
    std::vector<double> each;
    for (int round = 0; round < rounds; ++round) {
        const double begin = bench::thread_time();
        for (std::size_t i = 0; i < repeats; ++i)
            keep(co_await child());
        each.push_back(bench::per_repeat(begin, repeats));
    }
    results.row("task: create, await, destroy", std::move(each), {{}, 8});
}

task<> thrower(int levels)
{
    if (levels == 1)
        throw std::runtime_error("thrown");
    co_await thrower(levels - 1);
}

task<> throw_through(bench::table& results, int rounds, int levels, const char* name)
{
    constexpr std::size_t repeats = 2'000;
    std::vector<double> each;
    for (int round = 0; round < rounds; ++round) {
        const double begin = bench::thread_time();
        for (std::size_t i = 0; i < repeats; ++i) {
            try {
                co_await thrower(levels);
            } catch (const std::runtime_error& error) {
                keep(error);
            }
        }
        each.push_back(bench::per_repeat(begin, repeats));
    }
    results.row(name, std::move(each));
}

// ---- strands
// ----------------------------------------------------------------------------------------

/// Completes what it is given at once: an operation's way without an operating system.
class at_once final : public carrier {
public:
    void submit(operation& op) noexcept override { complete(op, 0); }
    void cancel(operation&) noexcept override {}
};

struct yield_awaiter {
    carrier& via;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) const noexcept
    {
        return start_wait(via, waiter);
    }
    void await_resume() const noexcept {}
};

task<> yield_often(carrier& via, std::size_t times)
{
    for (std::size_t i = 0; i < times; ++i)
        co_await yield_awaiter{via};
}

// Many strands, so that a turn's system call is shared by many yields.
task<> yields(bench::table& results, int rounds)
{
    constexpr std::size_t strands = 1000;
    constexpr std::size_t times = 500;
    at_once via;
    std::vector<double> each;
    for (int round = 0; round < rounds; ++round) {
        scope children;
        for (std::size_t i = 0; i < strands; ++i)
            children.spawn(yield_often(via, times));
        const double begin = bench::thread_time();
        co_await children.join();
        each.push_back(bench::per_repeat(begin, strands * times));
    }
    results.row("yield: an operation that completes at once", std::move(each), {{}, 6});
}

task<> nothing()
{
    co_return;
}

task<> spawns(bench::table& results, int rounds)
{
    constexpr std::size_t strands = 10'000;
    std::vector<double> each;
    for (int round = 0; round < rounds; ++round) {
        scope children;
        const double begin = bench::thread_time();
        for (std::size_t i = 0; i < strands; ++i)
            children.spawn(nothing());
        co_await children.join();
        each.push_back(bench::per_repeat(begin, strands));
    }
    results.row("scope: spawn, run and join a child", std::move(each));
}

// ---- time
// -------------------------------------------------------------------------------------------

void never(timer&) noexcept {}

/// Keeps a million timers armed at random moments within a minute.
struct crowd {
    static constexpr std::size_t count = 1'000'000;

    crowd() : wheel(time_point{})
    {
        timers = static_cast<timer*>(std::malloc(count * sizeof(timer)));
        for (std::size_t i = 0; i < count; ++i)
            wheel.arm(*new (timers + i) timer{never}, moment());
    }
    ~crowd()
    {
        for (std::size_t i = 0; i < count; ++i)
            wheel.disarm(timers[i]);
        std::free(timers);
    }

    time_point moment() { return time_point{milliseconds(1 + random() % 60'000)}; }

    std::minstd_rand random{1};
    timing_wheel wheel;
    timer* timers;
};

void wheels(bench::table& results, int rounds)
{
    constexpr std::size_t repeats = 200'000;
    const auto here = std::make_unique<crowd>();
    crowd& all = *here;
    results.row("timer: random numbers, part of the next", bench::time(rounds, repeats, [&] {
                    keep(all.moment());
                    keep(all.random() % crowd::count);
                }));
    results.row(
        "timer: re-arm at random among a million",
        bench::time(rounds, repeats,
                    [&] { all.wheel.arm(all.timers[all.random() % crowd::count], all.moment()); }),
        {{}, 70});
    timer one{never};
    results.row("timer: arm and disarm beside a million",
                bench::time(rounds, repeats,
                            [&] {
                                all.wheel.arm(one, time_point{5s});
                                all.wheel.disarm(one);
                            }),
                {{}, 70});
}

void deadlines(bench::table& results, int rounds)
{
    constexpr std::size_t repeats = 1'000'000;
    results.row("deadline: enter and leave", bench::time(rounds, repeats, [] {
                    const deadline limit{5s};
                    keep(limit);
                }));
    deadline idle{60s};
    results.row("deadline: refresh",
                bench::time(rounds, repeats,
                            [&idle] {
                                idle.refresh();
                                keep(idle);
                            }),
                {{}, 5});
}

// ---- buffers
// ----------------------------------------------------------------------------------------

/// Lends buffers without a kernel that takes them.
class plain_pool final : public buffer_pool {
public:
    static constexpr u32 buffers = 64;
    static constexpr u32 bytes = 4096;

    explicit plain_pool(std::byte* memory) : buffer_pool(memory, buffers, bytes) {}
    std::byte* take() noexcept
    {
        taken();
        return at(next_++ % buffers);
    }

private:
    void give(u16) noexcept override {}

    u16 next_ = 0;
};

void buffers(bench::table& results, int rounds)
{
    constexpr std::size_t repeats = 1'000'000;
    std::vector<std::byte> memory(std::size_t{plain_pool::buffers} * plain_pool::bytes);
    plain_pool pool{memory.data()};
    buffer_pool* const before = std::exchange(whence::internal::current_pool, &pool);
    receive_queue queue;
    results.row("buffer: queue it, lease it, give it back", bench::time(rounds, repeats, [&] {
                    queue.put(pool.take(), 64);
                    const chunk lease = queue.take();
                    keep(lease);
                }));
    whence::internal::current_pool = before;
}

task<> measure_all(bench::table& results, int rounds)
{
    results.row("baseline: an opaque call",
                bench::time(rounds, 1'000'000, [] { keep(hidden_answer()); }));
    co_await create_and_await(results, rounds);
    co_await yields(results, rounds);
    co_await spawns(results, rounds);
    wheels(results, rounds);
    deadlines(results, rounds);
    buffers(results, rounds);
    co_await throw_through(results, rounds, 2, "exception through 2 coroutines");
    co_await throw_through(results, rounds, 3, "exception through 3 coroutines");
    co_await throw_through(results, rounds, 5, "exception through 5 coroutines");
}

}  // namespace

int main(int argc, char** argv)
{
    const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 21;
    bench::table results{"primitives"};
    runtime here;
    here.run(measure_all(results, rounds));
    return results.status();
}

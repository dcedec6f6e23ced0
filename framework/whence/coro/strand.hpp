#pragma once

#include <whence/base/check.hpp>
#include <whence/base/intrusive_list.hpp>
#include <whence/coro/operation.hpp>
#include <whence/coro/timing_wheel.hpp>

#include <cerrno>
#include <coroutine>
#include <source_location>

namespace whence::inline v0 {

class cancel_scope;
class scope;

/// Is one line of control: the coroutine that a scope spawned and everything it awaits. It waits
/// for one thing at a time, so it *is* its one operation.
struct strand : operation, list_node<strand> {
    std::coroutine_handle<> waiter;     // the innermost coroutine, which the loop resumes
    scope* owner = nullptr;             // joins it
    cancel_scope* innermost = nullptr;  // what stops it: the scope or deadline entered last
    std::source_location where;         // of the await at which it waits, for dumps
    time_point since{};                 // when its turn came last, so since when it waits
    const char* name = nullptr;         // by set_task_name(): static
    const void* subject = nullptr;      // whom it works for; its scope's label describes it
};

/// Drives strands: the part of a runtime that coroutines know. No operating system here.
class loop {
public:
    virtual ~loop() = default;

    time_point now() noexcept
    {
        if (!clock_read_) [[unlikely]] {
            now_ = read_clock();
            clock_read_ = true;
        }
        return now_;
    }

    timing_wheel& timers() noexcept { return timers_; }

protected:
    explicit loop(time_point start) : timers_(start) {}
    virtual time_point read_clock() noexcept = 0;
    void forget_now() noexcept { clock_read_ = false; }

private:
    time_point now_;
    bool clock_read_ = false;
    timing_wheel timers_;
};

namespace internal {

/// Holds what the running thread is doing; a runtime sets it up while it runs.
struct context {
    strand* current = nullptr;            // the strand whose coroutine is running
    std::coroutine_handle<> resume_next;  // a finished coroutine's waiter
    strand* finished = nullptr;           // the running strand, once its first coroutine has ended
    u32 refusals = 0;       // waits that the running strand tried though it was stopped
    void* error = nullptr;  // a std::exception_ptr on its way from child to parent
    operation* ready_head = nullptr;
    operation* ready_tail = nullptr;
    loop* running = nullptr;
};

extern constinit thread_local context ctx;

/// Puts a strand behind those that wait for their turn.
inline void make_ready(operation& op) noexcept
{
    op.state = operation_state::ready;
    op.next = nullptr;
    if (ctx.ready_head)
        ctx.ready_tail->next = &op;
    else
        ctx.ready_head = &op;
    ctx.ready_tail = &op;
}

/// Runs the strands that were ready at the call, each until it waits again or ends.
/// errors: aborts when a coroutine suspends without an operation (g++ before 13 drops the rest of a
/// coroutine after `if (co_await x)`, PR106188; see docs/compilers.md).
void run_ready() noexcept;

inline bool anyone_ready() noexcept
{
    return ctx.ready_head != nullptr;
}

/// Bounds how often a stopped strand may try to wait before it is a programmer's error; before
/// that, as_result() gives up on it with `cancelled`.
inline constexpr u32 refusals_max = 100'000;
inline constexpr u32 refusals_as_result_max = 1'000;

}  // namespace internal

inline time_point loop_clock::now() noexcept
{
    return internal::ctx.running->now();
}

/// Ends an operation: its strand becomes ready, or its `done` is called. Never resumes a coroutine.
inline void complete(operation& op, int result) noexcept
{
    op.result = result;
    if (op.done) {
        op.state = operation_state::idle;
        op.done(op);
    } else {
        internal::make_ready(op);
    }
}

/// Fills in who waits and hands the current strand's operation over: the end of every awaiter's
/// await_suspend. False: the strand is stopped, and its outcome (-ECANCELED) is there already.
inline bool start_wait(carrier& via, std::coroutine_handle<> waiter) noexcept
{
    strand& self = *internal::ctx.current;
    expects(self.state == operation_state::idle, "a strand waits for one thing at a time");
    if (self.stopped) [[unlikely]] {
        expects(++internal::ctx.refusals < internal::refusals_max,
                "a strand that was stopped goes on waiting for ever");
        self.result = -ECANCELED;
        return false;
    }
    self.waiter = waiter;
    submit(self, via);
    return true;
}

/// Names the running task for dumps: a static text, which costs a store. The last one counts.
inline void set_task_name(const char* name) noexcept
{
    internal::ctx.current->name = name;
}

/// Notes where the current strand is about to wait.
inline void note_wait(std::source_location where) noexcept
{
    internal::ctx.current->where = where;
}

}  // namespace whence::inline v0

#pragma once

#include <whence/coro/deadline.hpp>
#include <whence/coro/valued.hpp>
#include <whence/runtime/runtime.hpp>

#include <concepts>

namespace whence::inline v0 {

namespace internal {

/// Carries one call to another runtime and its outcome back. Lives in the caller's frame until both
/// what it asked and what it was asked to stop have come home.
class remote_call : carrier {
public:
    explicit remote_call(runtime& there) noexcept;

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) noexcept
    {
        return start_wait(*this, waiter);
    }
    void await_resume();

protected:
    ~remote_call() override = default;
    /// Does the work, in the other runtime; keeps its value.
    virtual task<> work() = 0;

private:
    struct leg : message {
        remote_call* call = nullptr;
    };

    static spawned run_there(remote_call& call);
    void start_there() noexcept;
    void stop_there() noexcept;
    void send_home(leg& one) noexcept;
    void submit(operation& op) noexcept override;
    void cancel(operation& op) noexcept override;

    runtime& home_;
    runtime& there_;
    leg start_;
    leg stop_;
    unsigned away_ = 0;  // legs that have not come home; used at home
    operation* waiter_ = nullptr;
    cancel_scope* running_ = nullptr;  // used there
    bool stop_asked_ = false;          // used there
    bool submitted_ = false;
    std::exception_ptr error_;
};

template <class Work>
using work_result = typename std::invoke_result_t<Work&>::value_type;

template <class Work>
class remote_work final : public remote_call {
public:
    remote_work(runtime& there, Work& work) noexcept : remote_call(there), work_(work) {}
    work_result<Work> take()
    {
        if constexpr (!std::is_void_v<work_result<Work>>)
            return std::move(*value_);
    }

private:
    task<> work() override
    {
        auto working = valued<work_result<Work>>{work_()};
        value_.emplace(co_await working);
    }

    Work& work_;
    std::optional<value_of<work_result<Work>>> value_;
};

}  // namespace internal

/// Runs `work()`, a task, in another runtime of the group (or in this one), and waits for its end.
/// shape: the task is made, run and destroyed there; `work` itself stays here. What it touches
/// belongs to that runtime, or is shared between threads with care.
/// errors: what the work threw; a stop of the waiting strand is passed on, and the wait lasts until
/// the work has ended.
template <class Work>
task<internal::work_result<Work>> invoke_on(runtime& there, Work work)
{
    internal::remote_work<Work> call{there, work};
    co_await call;
    co_return call.take();
}

}  // namespace whence::inline v0

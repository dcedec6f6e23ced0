#pragma once

#include <whence/coro/valued.hpp>
#include <whence/runtime/runtime.hpp>

#include <condition_variable>
#include <functional>
#include <thread>
#include <vector>

namespace whence::inline v0 {

namespace internal {

class offload_pool;

/// Is one call to a thread of the pool; its runtime gets it back as a message.
class offloaded : message, carrier, list_node<offloaded> {
public:
    offloaded() noexcept;

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) noexcept
    {
        return start_wait(*this, waiter);
    }
    void await_resume();

protected:
    ~offloaded() override = default;
    /// Calls the function, in a thread of the pool; keeps its value.
    virtual void work() = 0;

private:
    friend offload_pool;
    friend intrusive_list<offloaded>;

    void run() noexcept;
    void send_home(int result) noexcept;
    void submit(operation& op) noexcept override;
    void cancel(operation& op) noexcept override;

    runtime& home_;
    operation* waiter_ = nullptr;
    int result_ = 0;
    std::exception_ptr error_;
};

/// Runs what would hold up a runtime, in threads that start when they are first needed.
class offload_pool {
public:
    offload_pool() = default;
    offload_pool(const offload_pool&) = delete;
    offload_pool& operator=(const offload_pool&) = delete;
    ~offload_pool();

    /// Before it is used. `first` is what a new thread does first.
    void set_up(u32 threads_max, std::function<void()> first);

    /// From any thread. False: there is no thread for it, and none can be had.
    bool push(offloaded& one) noexcept;
    /// Takes one back; false when it has begun.
    bool remove(offloaded& one) noexcept;

private:
    void work() noexcept;

    u32 threads_max_ = 2;
    std::function<void()> first_;
    std::mutex lock_;
    std::condition_variable changed_;
    intrusive_list<offloaded> waiting_;
    std::size_t outstanding_ = 0;  // waiting or running
    bool ending_ = false;
    std::vector<std::thread> threads_;
};

template <class Call>
class offloaded_call final : public offloaded {
public:
    using value = std::invoke_result_t<Call&>;

    explicit offloaded_call(Call& call) noexcept : call_(call) {}
    value take()
    {
        if constexpr (!std::is_void_v<value>)
            return std::move(*value_);
    }

private:
    void work() override
    {
        if constexpr (std::is_void_v<value>)
            call_();
        else
            value_.emplace(call_());
    }

    Call& call_;
    std::optional<value_of<value>> value_;
};

}  // namespace internal

/// Calls `call()` in a thread of a small pool, for what computes long or blocks: a password's hash,
/// a file system. The runtime goes on meanwhile.
/// shape: one pool for the group, runtime_options::offload_threads; calls queue for it.
/// errors: what the call threw; cancelled when it was stopped before it began. Once begun it is
/// waited for, since it may use what the caller holds.
template <class Call>
task<std::invoke_result_t<Call&>> offload(Call call)
{
    internal::offloaded_call<Call> calling{call};
    co_await calling;
    co_return calling.take();
}

}  // namespace whence::inline v0

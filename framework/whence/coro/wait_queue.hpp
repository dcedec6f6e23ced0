#pragma once

#include <whence/coro/errors.hpp>
#include <whence/coro/strand.hpp>

namespace whence::inline v0 {

/// Holds strands that wait for each other, first come, first woken: what event, semaphore and
/// channel are made of.
/// limits: one thread; destroyed when nobody waits.
class wait_queue final : carrier {
public:
    ~wait_queue() override
    {
        expects(waiting_.empty(), "a wait_queue is destroyed when nobody waits");
    }

    /// Waits until it is woken.
    /// errors: cancelled.
    class [[nodiscard]] awaiter;
    awaiter wait(std::source_location where = std::source_location::current()) noexcept;

    bool empty() noexcept { return waiting_.empty(); }
    /// Wakes the one that waits longest.
    /// resumes: in a later turn; a stop that comes after the wake does not undo it.
    void wake_one() noexcept;
    void wake_all() noexcept;

private:
    void submit(operation& op) noexcept override;
    void cancel(operation& op) noexcept override;

    intrusive_list<awaiter> waiting_;
};

class wait_queue::awaiter : list_node<awaiter> {
public:
    explicit awaiter(wait_queue& queue) noexcept : queue_(queue) {}
    awaiter(awaiter&& other) noexcept : queue_(other.queue_) {}

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) noexcept
    {
        internal::ctx.current->data = this;
        return start_wait(queue_, waiter);
    }
    void await_resume() const
    {
        if (internal::ctx.current->result < 0)
            throw_error(-internal::ctx.current->result, "wait");
    }
    std::error_code outcome() const noexcept { return error_of(-internal::ctx.current->result); }

private:
    friend wait_queue;
    friend intrusive_list<awaiter>;

    wait_queue& queue_;
    operation* op_ = nullptr;
};

inline wait_queue::awaiter wait_queue::wait(std::source_location where) noexcept
{
    note_wait(where);
    return awaiter{*this};
}

}  // namespace whence::inline v0

#pragma once

#include <whence/coro/wait_queue.hpp>

namespace whence::inline v0 {

/// Lets strands wait until something has happened; stays set until reset().
/// limits: one thread.
class event {
public:
    bool is_set() const noexcept { return set_; }

    /// Wakes all that wait.
    void set() noexcept
    {
        set_ = true;
        waiting_.wake_all();
    }
    void reset() noexcept { set_ = false; }

    /// Waits until the event is set; does not wait when it is.
    /// errors: cancelled.
    class [[nodiscard]] awaiter : public wait_queue::awaiter {
    public:
        awaiter(const event& awaited, wait_queue::awaiter queued) noexcept
            : wait_queue::awaiter(std::move(queued)), awaited_(awaited)
        {}
        bool await_ready() noexcept
        {
            return ready_ = awaited_.set_ && !internal::ctx.current->stopped;
        }
        void await_resume() const
        {
            if (!ready_)
                wait_queue::awaiter::await_resume();
        }
        std::error_code outcome() const noexcept
        {
            return ready_ ? std::error_code{} : wait_queue::awaiter::outcome();
        }

    private:
        const event& awaited_;
        bool ready_ = false;
    };

    awaiter wait(std::source_location where = std::source_location::current()) noexcept
    {
        return awaiter{*this, waiting_.wait(where)};
    }

private:
    bool set_ = false;
    wait_queue waiting_;
};

}  // namespace whence::inline v0

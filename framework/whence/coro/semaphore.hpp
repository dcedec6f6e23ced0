#pragma once

#include <whence/coro/wait_queue.hpp>

#include <cstddef>

namespace whence::inline v0 {

/// Bounds how many strands do something at once; permits go first come, first served.
/// limits: one thread.
class semaphore {
public:
    explicit semaphore(std::size_t permits) noexcept : free_(permits) {}

    /// Gives its permit back when it goes.
    class [[nodiscard]] permit {
    public:
        explicit permit(semaphore& from) noexcept : from_(&from) {}
        permit(permit&& other) noexcept : from_(std::exchange(other.from_, nullptr)) {}
        permit& operator=(permit&&) = delete;
        ~permit()
        {
            if (from_)
                from_->release();
        }

    private:
        semaphore* from_;
    };

    /// Waits for a permit.
    /// errors: cancelled; then none was taken.
    class [[nodiscard]] awaiter : wait_queue::awaiter {
    public:
        awaiter(semaphore& from, wait_queue::awaiter queued) noexcept
            : wait_queue::awaiter(std::move(queued)), from_(from)
        {}
        bool await_ready() noexcept
        {
            return taken_ = !internal::ctx.current->stopped && from_.try_take();
        }
        using wait_queue::awaiter::await_suspend;
        permit await_resume()
        {
            if (!taken_)
                wait_queue::awaiter::await_resume();
            return permit{from_};
        }
        result<permit> outcome() noexcept
        {
            if (!taken_) {
                if (const std::error_code error = wait_queue::awaiter::outcome())
                    return error;
            }
            return permit{from_};
        }

    private:
        semaphore& from_;
        bool taken_ = false;
    };

    awaiter acquire(std::source_location where = std::source_location::current()) noexcept
    {
        return awaiter{*this, waiting_.wait(where)};
    }

    std::size_t available() const noexcept { return free_; }

private:
    bool try_take() noexcept
    {
        if (free_ == 0)
            return false;
        --free_;
        return true;
    }

    void release() noexcept
    {
        // A waiter takes the permit over; only without one does it become free.
        if (waiting_.empty())
            ++free_;
        else
            waiting_.wake_one();
    }

    std::size_t free_;
    wait_queue waiting_;
};

}  // namespace whence::inline v0

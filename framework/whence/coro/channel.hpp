#pragma once

#include <whence/coro/task.hpp>
#include <whence/coro/wait_queue.hpp>

#include <deque>
#include <optional>

namespace whence::inline v0 {

/// Passes values between strands of one thread, at most `capacity` on their way.
/// limits: one thread; destroyed when nobody waits.
template <class T>
class channel {
public:
    explicit channel(std::size_t capacity) : capacity_(capacity)
    {
        expects(capacity > 0, "a channel has room for one value at least");
    }

    /// Puts a value in, waiting for room. False: the channel is closed, the value is dropped.
    /// errors: cancelled; then the value was not put in.
    task<bool> send(T value)
    {
        while (!closed_ && values_.size() >= capacity_)
            co_await senders_.wait();
        if (closed_)
            co_return false;
        values_.push_back(std::move(value));
        receivers_.wake_one();
        co_return true;
    }

    /// Takes the oldest value, waiting for one. Empty: closed, and all values are taken.
    /// errors: cancelled; then none was taken.
    task<std::optional<T>> receive()
    {
        while (!closed_ && values_.empty())
            co_await receivers_.wait();
        std::optional<T> value;
        if (values_.empty())
            co_return value;
        value.emplace(std::move(values_.front()));
        values_.pop_front();
        senders_.wake_one();
        co_return value;
    }

    /// Lets nothing more in; what is in can still be taken.
    void close() noexcept
    {
        closed_ = true;
        senders_.wake_all();
        receivers_.wake_all();
    }

    std::size_t size() const noexcept { return values_.size(); }

private:
    std::size_t capacity_;
    bool closed_ = false;
    std::deque<T> values_;
    wait_queue senders_;
    wait_queue receivers_;
};

}  // namespace whence::inline v0

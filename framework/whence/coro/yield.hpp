#pragma once

#include <whence/coro/errors.hpp>
#include <whence/coro/strand.hpp>

namespace whence::inline v0 {

/// Lets every other strand that is ready run first, and the driver deliver.
/// errors: cancelled.
class [[nodiscard]] yield : carrier {
public:
    explicit yield(std::source_location where = std::source_location::current()) noexcept
    {
        note_wait(where);
    }
    yield(yield&&) noexcept {}

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) noexcept
    {
        return start_wait(*this, waiter);
    }
    void await_resume() const
    {
        if (internal::ctx.current->result < 0)
            throw_error(-internal::ctx.current->result, "yield");
    }
    std::error_code outcome() const noexcept { return error_of(-internal::ctx.current->result); }

private:
    void submit(operation& op) noexcept override { complete(op, 0); }
    void cancel(operation&) noexcept override {}
};

}  // namespace whence::inline v0

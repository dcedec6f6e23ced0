#pragma once

#include <whence/base/result.hpp>
#include <whence/coro/strand.hpp>

#include <exception>
#include <utility>

namespace whence::inline v0 {

/// Unwinds a strand whose scope was stopped. Not a std::system_error, so that a handler's
/// `catch (const std::system_error&)` retry loop cannot swallow a shut-down.
class cancelled final : public std::exception {
public:
    const char* what() const noexcept override { return "cancelled"; }
};

/// Throws `cancelled` for ECANCELED, else std::system_error naming the operation.
/// units: `error` is a positive errno value.
[[noreturn]] void throw_error(int error, const char* operation);

/// Gives a positive errno value (or 0: no error) as an error code.
inline std::error_code error_of(int error) noexcept
{
    return {error, std::system_category()};
}

/// Awaits like `inner`, but gives a result instead of throwing: for what is normal to fail.
/// errors: std::errc::operation_canceled stands for `cancelled`; `cancelled` itself when a stopped
/// strand has ignored that a thousand times in a row.
template <class Awaiter>
class [[nodiscard]] as_result {
public:
    explicit as_result(Awaiter inner) : inner_(std::move(inner)) {}

    bool await_ready() noexcept { return inner_.await_ready(); }
    template <class Handle>
    auto await_suspend(Handle waiter) noexcept
    {
        return inner_.await_suspend(waiter);
    }
    auto await_resume()
    {
        // A loop that takes every error for a reason to try again must end with its scope.
        if (internal::ctx.refusals > internal::refusals_as_result_max) [[unlikely]]
            throw cancelled{};
        return inner_.outcome();
    }

private:
    Awaiter inner_;
};

namespace internal {

/// Keeps the exception in flight for the coroutine that waits for this one.
void store_error(std::exception_ptr error) noexcept;
[[noreturn]] void rethrow_error();
/// Takes the exception in flight as an error code; rethrows what is neither `cancelled` nor a
/// std::system_error.
std::error_code take_error_code();

}  // namespace internal

}  // namespace whence::inline v0

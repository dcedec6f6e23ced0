#include <whence/coro/errors.hpp>

#include <memory>
#include <new>
#include <system_error>

namespace whence::inline v0 {

void throw_error(int error, const char* what)
{
    if (error == ECANCELED)
        throw cancelled{};
    throw std::system_error(error, std::system_category(), what);
}

namespace internal {

// The error travels in one pointer of the thread's context, because it never crosses a suspension:
// a child's end and its parent's await_resume follow each other. Its type is trivial there, so that
// the thread's context needs no construction.
static_assert(sizeof(std::exception_ptr) == sizeof(void*));

void store_error(std::exception_ptr error) noexcept
{
    static_assert(std::is_nothrow_move_constructible_v<std::exception_ptr>);
    new (&internal::ctx.error) std::exception_ptr(std::move(error));
}

void rethrow_error()
{
    auto* const stored = std::launder(reinterpret_cast<std::exception_ptr*>(&internal::ctx.error));
    std::exception_ptr error = std::move(*stored);
    std::destroy_at(stored);
    internal::ctx.error = nullptr;
    std::rethrow_exception(std::move(error));
}

std::error_code take_error_code()
{
    try {
        rethrow_error();
    } catch (const cancelled&) {
        return error_of(ECANCELED);
    } catch (const std::system_error& error) {
        return error.code();
    }
}

}  // namespace internal

}  // namespace whence::inline v0

#include <whence/coro/strand.hpp>

#include <whence/coro/errors.hpp>
#include <whence/coro/scope.hpp>

#include <memory>
#include <new>
#include <system_error>

namespace whence::inline v0 {

constinit thread_local internal::context internal::ctx;

void internal::run_ready() noexcept
{
    operation* const last = internal::ctx.ready_tail;
    const time_point turn = now();
    while (internal::ctx.ready_head) {
        operation* const head = internal::ctx.ready_head;
        internal::ctx.ready_head = head->next;
        strand& self = static_cast<strand&>(*head);
        self.state = operation_state::idle;
        internal::ctx.current = &self;
        self.since = turn;
        internal::ctx.refusals = 0;
        // The trampoline: a coroutine that ended names the one that waited for it.
        for (std::coroutine_handle<> next = self.waiter; next; next = internal::ctx.resume_next) {
            internal::ctx.resume_next = {};
            next.resume();
        }
        if (internal::ctx.finished) {
            internal::ctx.finished = nullptr;
            self.owner->child_ended(self);
        } else {
            expects(self.state != operation_state::idle,
                    "a coroutine suspended without waiting for anything: a compiler bug such as "
                    "GCC PR106188 (see docs/compilers.md), or a foreign awaitable");
        }
        if (head == last)
            break;
    }
    internal::ctx.current = nullptr;
}

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

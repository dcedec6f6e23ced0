#include <whence/coro/strand.hpp>

#include <whence/coro/errors.hpp>
#include <whence/coro/scope.hpp>

#include <memory>
#include <new>
#include <system_error>

namespace whence {

constinit thread_local context ctx;

void run_ready() noexcept
{
    operation* const last = ctx.ready_tail;
    while (ctx.ready_head) {
        operation* const head = ctx.ready_head;
        ctx.ready_head = head->next;
        strand& self = static_cast<strand&>(*head);
        self.state = operation_state::idle;
        ctx.current = &self;
        ctx.refusals = 0;
        // The trampoline: a coroutine that ended names the one that waited for it.
        for (std::coroutine_handle<> next = self.waiter; next; next = ctx.resume_next) {
            ctx.resume_next = {};
            next.resume();
        }
        if (ctx.finished) {
            ctx.finished = nullptr;
            self.owner->child_ended(self);
        } else {
            expects(self.state != operation_state::idle,
                    "a coroutine suspended without waiting for anything: a compiler bug such as "
                    "GCC PR106188 (see docs/compilers.md), or a foreign awaitable");
        }
        if (head == last)
            break;
    }
    ctx.current = nullptr;
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
    new (&ctx.error) std::exception_ptr(std::move(error));
}

std::exception_ptr take_error() noexcept
{
    auto* const stored = std::launder(reinterpret_cast<std::exception_ptr*>(&ctx.error));
    std::exception_ptr error = std::move(*stored);
    std::destroy_at(stored);
    ctx.error = nullptr;
    return error;
}

void rethrow_error()
{
    std::rethrow_exception(take_error());
}

}  // namespace internal

}  // namespace whence

#include <whence/coro/strand.hpp>

#include <whence/coro/scope.hpp>

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

}  // namespace whence::inline v0

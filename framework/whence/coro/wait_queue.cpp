#include <whence/coro/wait_queue.hpp>

namespace whence::inline v0 {

void wait_queue::wake_one() noexcept
{
    if (!waiting_.empty())
        complete(*waiting_.pop_front().op_, 0);
}

void wait_queue::wake_all() noexcept
{
    while (!waiting_.empty())
        wake_one();
}

void wait_queue::submit(operation& op) noexcept
{
    auto& waiter = *static_cast<awaiter*>(op.data);
    waiter.op_ = &op;
    waiting_.push_back(waiter);
}

void wait_queue::cancel(operation& op) noexcept
{
    static_cast<awaiter*>(op.data)->unlink();
    complete(op, -ECANCELED);
}

}  // namespace whence::inline v0

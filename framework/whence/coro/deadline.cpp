#include <whence/coro/deadline.hpp>

namespace whence::inline v0 {

deadline::deadline(nanoseconds time_max) noexcept
    : cancel_scope(internal::ctx.current->innermost), timer(&on_due),
      inside_(internal::ctx.current), time_max_(time_max), due_(later(now(), time_max))
{
    enter();
}

deadline::deadline(time_point due) noexcept
    : cancel_scope(internal::ctx.current->innermost), timer(&on_due),
      inside_(internal::ctx.current), time_max_(due - now()), due_(due)
{
    enter();
}

deadline::deadline(nanoseconds time_max, shield_tag) noexcept
    : cancel_scope(internal::ctx.current->innermost), timer(&on_due),
      inside_(internal::ctx.current), time_max_(time_max), due_(later(now(), time_max))
{
    shielded_ = true;
    stopped_ = false;
    enter();
}

void deadline::enter() noexcept
{
    inside_->innermost = this;
    inside_->stopped = stopped_;
    internal::ctx.running->timers().arm(*this, due_);
}

deadline::~deadline()
{
    expects(inside_ == internal::ctx.current && inside_->innermost == this,
            "deadlines are left by the strand that entered them, the last one first");
    internal::ctx.running->timers().disarm(*this);
    inside_->innermost = parent_;
    inside_->stopped = parent_->stopped();
}

void deadline::stop_strands() noexcept
{
    if (inside_->innermost != this)
        return;  // a deadline further in stops it, unless it shields
    inside_->stopped = true;
    cancel(*inside_);
}

void deadline::on_due(timer& self) noexcept
{
    auto& limit = static_cast<deadline&>(self);
    const time_point due = limit.due();
    if (due > now()) {
        internal::ctx.running->timers().arm(limit, due);
        return;
    }
    limit.expired_ = !limit.stopped();
    limit.stop();
}

namespace internal {

void throw_timed_out()
{
    throw_error(ETIMEDOUT, "deadline");
}

void sleep_awaiter::submit(operation& op) noexcept
{
    sleeper_ = &op;
    internal::ctx.running->timers().arm(*this, due_);
}

void sleep_awaiter::cancel(operation& op) noexcept
{
    internal::ctx.running->timers().disarm(*this);
    complete(op, -ECANCELED);
}

void sleep_awaiter::on_due(timer& self) noexcept
{
    complete(*static_cast<sleep_awaiter&>(self).sleeper_, 0);
}

std::error_code sleep_awaiter::outcome() const noexcept
{
    return error_of(-internal::ctx.current->result);
}

void sleep_awaiter::await_resume() const
{
    if (internal::ctx.current->result < 0)
        throw_error(-internal::ctx.current->result, "sleep_for");
}

}  // namespace internal

}  // namespace whence::inline v0

#include <whence/coro/scope.hpp>

namespace whence::inline v0 {

cancel_scope::cancel_scope(cancel_scope* parent) noexcept : parent_(parent)
{
    if (!parent_)
        return;
    stopped_ = parent_->stopped_;
    parent_->children_.push_back(*this);
}

cancel_scope::~cancel_scope()
{
    expects(children_.empty(), "a scope outlives the scopes inside it");
    if (parent_)
        unlink();
}

void cancel_scope::stop() noexcept
{
    if (stopped_)
        return;
    stopped_ = true;
    stop_strands();
    children_.for_each([](cancel_scope& child) {
        if (!child.shielded_)
            child.stop();
    });
}

namespace {

cancel_scope* innermost_of_current() noexcept
{
    return internal::ctx.current ? internal::ctx.current->innermost : nullptr;
}

bool is_cancelled(const std::exception_ptr& error) noexcept
{
    try {
        std::rethrow_exception(error);
    } catch (const cancelled&) {
        return true;
    } catch (...) {
        return false;
    }
}

}  // namespace

void cancel_scope::walk(visitor visit, void* to)
{
    walk_strands(visit, to);
    children_.for_each([&](cancel_scope& child) { child.walk(visit, to); });
}

scope::scope() noexcept : cancel_scope(innermost_of_current()) {}

scope::~scope()
{
    expects(size_ == 0,
            "a scope is joined before it is destroyed; in_scope() does it on every way out");
}

void internal::spawned::promise_type::unhandled_exception() noexcept
{
    owner->child_failed(std::current_exception());
}

internal::spawned internal::strand_of(task<> work)
{
    co_await work;
}

void scope::spawn(task<> work, std::source_location where)
{
    spawn(internal::strand_of(std::move(work)), where);
}

void scope::spawn(task<> work, const char* name, std::source_location where)
{
    internal::spawned body = internal::strand_of(std::move(work));
    body.set_name(name);
    spawn(std::move(body), where);
}

void scope::spawn(internal::spawned body, std::source_location where) noexcept
{
    const auto started = body.release();
    strand& child = started.promise();
    child.waiter = started;
    child.owner = this;
    child.innermost = this;
    child.stopped = stopped_;
    child.where = where;
    child.since = now();
    strands_.push_back(child);
    ++size_;
    internal::make_ready(child);
}

void scope::adopt(strand& child) noexcept
{
    scope& from = *child.owner;
    expects(child.innermost == &from, "a strand changes its scope outside of its deadlines");
    child.unlink();
    strands_.push_back(child);
    ++size_;
    child.owner = this;
    child.innermost = this;
    child.stopped = stopped_;
    if (--from.size_ == 0 && from.joiner_)
        complete(*std::exchange(from.joiner_, nullptr), 0);
}

void scope::stop_strands() noexcept
{
    strands_.for_each([this](strand& child) {
        // A strand inside a deadline is that deadline's to stop: a shield may lie in between.
        if (child.innermost != this)
            return;
        child.stopped = true;
        whence::cancel(child);
    });
}

void scope::walk_strands(visitor visit, void* to)
{
    strands_.for_each([&](const strand& child) { visit(to, child); });
}

void scope::submit(operation& op) noexcept
{
    expects(joiner_ == nullptr, "a scope has one joiner");
    joiner_ = &op;
}

void scope::cancel(operation&) noexcept
{
    stop();
}

void scope::child_failed(std::exception_ptr error) noexcept
{
    if (error_ || is_cancelled(error))
        return;
    error_ = std::move(error);
    stop();
}

void scope::child_ended(strand& child) noexcept
{
    child.unlink();
    using promise = internal::spawned::promise_type;
    std::coroutine_handle<promise>::from_promise(static_cast<promise&>(child)).destroy();
    if (--size_ == 0 && joiner_)
        complete(*std::exchange(joiner_, nullptr), 0);
}

scope::join_awaiter scope::join(std::source_location where) noexcept
{
    note_wait(where);
    return join_awaiter{*this};
}

void scope::join_awaiter::await_suspend(std::coroutine_handle<> waiter) noexcept
{
    // Not start_wait(): a stopped strand joins its children all the same.
    internal::ctx.current->waiter = waiter;
    whence::submit(*internal::ctx.current, joined_);
}

void scope::join_awaiter::await_resume()
{
    if (std::exception_ptr error = outcome())
        std::rethrow_exception(error);
}

}  // namespace whence::inline v0

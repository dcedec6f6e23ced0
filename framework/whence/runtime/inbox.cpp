#include <whence/runtime/inbox.hpp>

#include <whence/coro/strand.hpp>

namespace whence::inline v0::internal {

void inbox::push(message& one) noexcept
{
    message* before = newest_.load(std::memory_order_relaxed);
    do
        one.next = before;
    while (!newest_.compare_exchange_weak(before, &one, std::memory_order_release,
                                          std::memory_order_relaxed));
    // Whoever fills an empty inbox wakes its owner; the owner itself looks before it waits.
    if (!before && ctx.running != &owner_)
        io_.wake();
}

bool inbox::deliver() noexcept
{
    if (!newest_.load(std::memory_order_relaxed)) [[likely]]
        return false;
    message* newest = newest_.exchange(nullptr, std::memory_order_acquire);
    message* oldest = nullptr;
    while (newest) {
        message* const next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        message& one = *oldest;
        oldest = one.next;
        one.receive(one);
    }
    return newest_.load(std::memory_order_relaxed) != nullptr;
}

notice::notice(inbox& to, callback act, void* self) noexcept : to_(to), act_(act), self_(self)
{
    receive = [](message& one) noexcept {
        auto& raised = static_cast<notice&>(one);
        // Cleared first: what is raised from now on is news.
        raised.raised_.exchange(false, std::memory_order_acq_rel);
        raised.act_(raised.self_);
    };
}

void notice::raise() noexcept
{
    if (!raised_.exchange(true, std::memory_order_acq_rel))
        to_.push(*this);
}

void notice::settle() noexcept
{
    if (raised_.load(std::memory_order_acquire))
        to_.deliver();
}

}  // namespace whence::inline v0::internal

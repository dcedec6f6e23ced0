#include <whence/runtime/fault_driver.hpp>

#include <whence/coro/strand.hpp>

#include <utility>

namespace whence::inline v0 {

namespace {

constexpr unsigned turns_late = 3;

bool receives(const operation& op) noexcept
{
    return op.what == verb::recv || op.what == verb::recv_pooled;
}

}  // namespace

fault_driver::fault_driver(std::unique_ptr<driver> below, fault planned)
    : below_(std::move(below)), planned_(planned)
{}

void fault_driver::submit(operation& op) noexcept
{
    if (++submitted_ != planned_.at) {
        below_->submit(op);
    } else if (planned_.what == fault::kind::cut) {
        if (receives(op))
            op.size = 1;
        below_->submit(op);
    } else {
        held_ = &op;
    }
}

void fault_driver::cancel(operation& op) noexcept
{
    if (held_ == &op)
        complete(*std::exchange(held_, nullptr), -ECANCELED);
    else
        below_->cancel(op);
}

void fault_driver::wait(nanoseconds at_most) noexcept
{
    if (!held_) {
        below_->wait(at_most);
        return;
    }
    below_->wait(nanoseconds::zero());
    if (!held_)
        return;
    if (planned_.what == fault::kind::fail)
        complete(*std::exchange(held_, nullptr), -planned_.error);
    else if (++turns_held_ == turns_late)
        below_->submit(*std::exchange(held_, nullptr));
}

}  // namespace whence::inline v0

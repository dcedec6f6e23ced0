#include <whence/runtime/invoke_on.hpp>

namespace whence::inline v0::internal {

remote_call::remote_call(runtime& there) noexcept : home_(runtime::current()), there_(there)
{
    start_.call = this;
    stop_.call = this;
    start_.receive = [](message& one) noexcept { static_cast<leg&>(one).call->start_there(); };
    stop_.receive = [](message& one) noexcept { static_cast<leg&>(one).call->stop_there(); };
}

void remote_call::submit(operation& op) noexcept
{
    submitted_ = true;
    waiter_ = &op;
    away_ = 1;
    there_.mail().push(start_);
}

void remote_call::cancel(operation&) noexcept
{
    ++away_;
    there_.mail().push(stop_);
}

void remote_call::start_there() noexcept
{
    try {
        there_.root().spawn(run_there(*this));
    } catch (const std::bad_alloc&) {
        error_ = std::current_exception();
        send_home(start_);
    }
}

spawned remote_call::run_there(remote_call& call)
{
    try {
        deadline stoppable{nanoseconds::max()};
        call.running_ = &stoppable;
        if (call.stop_asked_)
            stoppable.stop();
        co_await call.work();
    } catch (...) {
        call.error_ = std::current_exception();
    }
    call.running_ = nullptr;
    call.send_home(call.start_);
}

/// Comes behind the start: the work is about to begin, is running, or has ended.
void remote_call::stop_there() noexcept
{
    stop_asked_ = true;
    if (running_)
        running_->stop();
    send_home(stop_);
}

/// Nothing may touch the call from here on: its caller may go.
void remote_call::send_home(leg& one) noexcept
{
    one.receive = [](message& back) noexcept {
        remote_call& call = *static_cast<leg&>(back).call;
        if (--call.away_ == 0)
            complete(*call.waiter_, 0);
    };
    home_.mail().push(one);
}

void remote_call::await_resume()
{
    if (!submitted_)
        throw cancelled{};
    if (error_)
        std::rethrow_exception(std::exchange(error_, {}));
}

}  // namespace whence::inline v0::internal

#include <whence/runtime/offload.hpp>

#include <system_error>

namespace whence::inline v0::internal {

offloaded::offloaded() noexcept : home_(runtime::current())
{
    receive = [](message& one) noexcept {
        auto& self = static_cast<offloaded&>(one);
        complete(*self.waiter_, self.result_);
    };
}

void offloaded::submit(operation& op) noexcept
{
    waiter_ = &op;
    if (!home_.offloading().push(*this))
        send_home(-EAGAIN);
}

void offloaded::cancel(operation& op) noexcept
{
    if (home_.offloading().remove(*this))
        complete(op, -ECANCELED);
}

void offloaded::run() noexcept
{
    try {
        work();
    } catch (...) {
        error_ = std::current_exception();
    }
    send_home(0);
}

/// Nothing may touch it from here on: its caller may go.
void offloaded::send_home(int result) noexcept
{
    result_ = result;
    home_.mail().push(*this);
}

void offloaded::await_resume()
{
    if (error_)
        std::rethrow_exception(std::exchange(error_, {}));
    const int result = ctx.current->result;
    if (result < 0)
        throw_error(-result, "offload");
}

void offload_pool::set_up(u32 threads_max, std::function<void()> first)
{
    threads_max_ = threads_max;
    first_ = std::move(first);
}

offload_pool::~offload_pool()
{
    {
        const std::lock_guard guard{lock_};
        ending_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_)
        thread.join();
}

bool offload_pool::push(offloaded& one) noexcept
{
    const std::lock_guard guard{lock_};
    if (outstanding_ >= threads_.size() && threads_.size() < threads_max_) {
        try {
            threads_.emplace_back(&offload_pool::work, this);
        } catch (const std::exception&) {
            if (threads_.empty())
                return false;
        }
    }
    ++outstanding_;
    waiting_.push_back(one);
    changed_.notify_one();
    return true;
}

bool offload_pool::remove(offloaded& one) noexcept
{
    const std::lock_guard guard{lock_};
    if (!one.linked())
        return false;
    one.unlink();
    --outstanding_;
    return true;
}

void offload_pool::work() noexcept
{
    if (first_)
        first_();
    std::unique_lock guard{lock_};
    for (;;) {
        changed_.wait(guard, [this] { return ending_ || !waiting_.empty(); });
        if (waiting_.empty())
            return;
        offloaded& next = waiting_.pop_front();
        guard.unlock();
        next.run();
        guard.lock();
        --outstanding_;
    }
}

}  // namespace whence::inline v0::internal

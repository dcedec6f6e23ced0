#pragma once

#include <whence/coro/scope.hpp>

namespace support {

/// Runs strands without an operating system: time passes when everybody waits.
class manual_loop final : public whence::loop {
public:
    manual_loop() : loop(whence::time_point{}) { whence::internal::ctx.running = this; }
    ~manual_loop() override { whence::internal::ctx = {}; }

    /// Runs `main` until it and all it started have ended. False: everybody waits for ever.
    bool run(whence::task<> main)
    {
        root_.spawn(std::move(main));
        while (root_.size() != 0) {
            whence::internal::run_ready();
            if (whence::internal::anyone_ready() || root_.size() == 0)
                continue;
            const auto due = timers().next_due();
            if (!due)
                return false;
            now_ = std::max(now_, *due);
            forget_now();
            timers().advance(now());
        }
        return true;
    }

    whence::scope& root() noexcept { return root_; }

private:
    whence::time_point read_clock() noexcept override { return now_; }

    whence::time_point now_{};
    whence::scope root_{whence::scope::root_tag{}};
};

/// Runs a coroutine made by `body`, and rethrows what it threw.
template <class Body>
void run_to_end(Body body)
{
    manual_loop loop;
    std::exception_ptr failure;
    const bool ended = loop.run([](Body& inner, std::exception_ptr& failed) -> whence::task<> {
        try {
            co_await inner();
        } catch (...) {
            failed = std::current_exception();
        }
    }(body, failure));
    whence::expects(ended, "every strand waits for ever");
    if (failure)
        std::rethrow_exception(failure);
}

}  // namespace support

#pragma once

#include <whence/runtime/driver.hpp>

#include <atomic>

namespace whence::inline v0 {

class loop;

namespace internal {

/// Asks a runtime to do something in its own thread.
/// shape: the sender's, at a stable address until `receive` is called, which may end it.
struct message {
    message* next = nullptr;
    void (*receive)(message&) noexcept = nullptr;
};

/// Takes messages from any thread for the one that runs a loop, in the order in which each thread
/// sent them. However many come in during one turn, there is one wake-up.
class inbox {
public:
    inbox(driver& io, const loop& owner) noexcept : io_(io), owner_(owner) {}

    /// From any thread, and from a signal handler.
    void push(message& one) noexcept;
    /// Receives all that came in: the loop, once a turn. True: some of it has sent more to its own
    /// runtime, for which nobody wakes it; the loop must not wait.
    bool deliver() noexcept;

private:
    driver& io_;
    const loop& owner_;
    std::atomic<message*> newest_{nullptr};
};

/// Is a message that is sent any number of times, and received at least once after the last.
/// limits: destroyed in the thread that receives it, once nobody raises it any more.
class notice : message {
public:
    using callback = void (*)(void* self) noexcept;

    /// `act(self)` runs in the thread that owns `to`.
    notice(inbox& to, callback act, void* self) noexcept;
    notice(const notice&) = delete;
    notice& operator=(const notice&) = delete;
    ~notice() { settle(); }

    /// From any thread, and from a signal handler.
    void raise() noexcept;
    /// Receives it now, if it is on the way: before what it acts on goes.
    void settle() noexcept;

private:
    inbox& to_;
    callback act_;
    void* self_;
    std::atomic<bool> raised_{false};
};

}  // namespace internal

}  // namespace whence::inline v0

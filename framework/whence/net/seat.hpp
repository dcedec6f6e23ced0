#pragma once

// Not a public header: how serve() reaches the runtimes of its group.

#include <whence/net/place_counter.hpp>
#include <whence/net/serve.hpp>
#include <whence/net/server_metrics.hpp>
#include <whence/runtime/runtime.hpp>

#include <atomic>
#include <deque>
#include <mutex>

namespace whence::inline v0::internal {

/// Is a runtime's place in a server: what other threads may touch.
class seat {
public:
    /// Is a connection on its way to a seat, and the number of the listener that brought it.
    struct arrival {
        connection conn;
        std::size_t listener;
    };

    /// Is who serves there.
    class taker {
    public:
        virtual void take(arrival given) noexcept = 0;

    protected:
        ~taker() = default;
    };

    /// errors: std::bad_alloc.
    seat(runtime& home, std::span<const listener> listeners);

    /// From any thread: gives it a connection, which is counted from now on.
    /// errors: std::bad_alloc; the connection is closed.
    void give(arrival one);
    /// From any thread: the last thing that it is told.
    void tell_to_end() noexcept { told_to_end_.raise(); }
    /// From any thread: counts the connections, those on their way among them.
    u32 load() const noexcept { return load_.load(std::memory_order_relaxed); }

    /// Takes the seat; what was given before is taken now.
    void occupy(taker& by) noexcept;
    /// Leaves it for good: it is nobody's idlest any more, and what is on its way is closed when
    /// the server ends.
    void vacate() noexcept;
    /// Counts a connection that has ended.
    void leave() noexcept { load_.fetch_sub(1, std::memory_order_relaxed); }
    event& end() noexcept { return end_; }
    server_metrics& metrics_of(std::size_t listener) noexcept { return *metrics_[listener]; }

private:
    static constexpr u32 nobody_serves = ~u32{0};

    void take_given() noexcept;

    runtime& home_;
    std::vector<server_metrics*> metrics_;  // one for each listener, in its runtime
    taker* taker_ = nullptr;
    event end_;
    std::atomic<u32> load_{0};
    std::mutex lock_;
    std::vector<arrival> given_;   // by other threads; guarded by lock_
    std::vector<arrival> taking_;  // empty between two batches: keeps its room for the next
    notice arrived_;
    notice told_to_end_;
};

/// Is what all runtimes of one serve() share.
struct server_state {
    server_state(std::unique_ptr<const application> serves, serve_options with,
                 std::span<runtime* const> group, std::span<const listener> listeners);

    /// Finds the seat with the fewest connections. limits: one thread.
    seat& idlest() noexcept;

    std::unique_ptr<const application> app;
    serve_options options;
    place_counter handshakes;  // connections at their gates, in all runtimes
    std::deque<seat> seats;    // in the group's order
    std::size_t next = 0;      // where the search for the idlest starts: ties go round
};

}  // namespace whence::inline v0::internal

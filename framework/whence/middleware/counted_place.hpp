#pragma once

// Not a public header: what counts connections across threads.

#include <whence/net/connection.hpp>

#include <atomic>

namespace whence::inline v0::internal {

/// Counts up to a bound, exactly: of any number of threads, never one too many is let in.
class place_counter {
public:
    explicit place_counter(u32 count_max) noexcept : max_(count_max) {}

    bool take() noexcept
    {
        u32 count = taken_.load(std::memory_order_relaxed);
        do {
            if (count >= max_)
                return false;
        } while (!taken_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed));
        return true;
    }
    void give() noexcept { taken_.fetch_sub(1, std::memory_order_relaxed); }
    u32 taken() const noexcept { return taken_.load(std::memory_order_relaxed); }

private:
    const u32 max_;
    std::atomic<u32> taken_ = 0;
};

/// Keeps one place taken for as long as a connection lives.
class counted_place final : public connection_guest {
public:
    explicit counted_place(std::shared_ptr<place_counter> from) noexcept : from_(std::move(from)) {}
    ~counted_place() override
    {
        if (taken_)
            from_->give();
    }
    bool take() noexcept { return taken_ = from_->take(); }

private:
    std::shared_ptr<place_counter> from_;
    bool taken_ = false;
};

/// Takes a place for a connection. False: there is none left.
/// errors: std::bad_alloc, and nothing is taken.
inline bool take_place(connection& conn, std::shared_ptr<place_counter> from)
{
    auto place = std::make_unique<counted_place>(std::move(from));
    if (!place->take())
        return false;
    conn.keep(std::move(place));
    return true;
}

}  // namespace whence::inline v0::internal

#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

namespace whence::inline v0 {

namespace internal {

/// Keeps trivial items in one contiguous run that grows at its end and shrinks at its front.
/// shape: a block that grows by doubling; items move to its front when at most half of it is live,
/// so each is moved once on average.
template <class T>
    requires std::is_trivially_copyable_v<T>
class contiguous_queue {
public:
    std::size_t size() const noexcept { return end_ - begin_; }
    bool empty() const noexcept { return end_ == begin_; }
    T& front() noexcept { return items_[begin_]; }
    std::span<const T> items() const noexcept { return {items_.get() + begin_, size()}; }

    /// Makes room for `more` items behind the last.
    /// errors: std::bad_alloc; then nothing has changed.
    void reserve(std::size_t more)
    {
        if (capacity_ - end_ >= more)
            return;
        const std::size_t live = size();
        const std::size_t needed = (begin_ >= live ? live : end_) + more;
        std::unique_ptr<T[]> larger;
        if (needed > capacity_) {
            const std::size_t wanted = std::bit_ceil(std::max(needed, bytes_min / sizeof(T)));
            larger = std::make_unique_for_overwrite<T[]>(wanted);
            capacity_ = wanted;
        }
        if (live != 0)
            std::memcpy((larger ? larger : items_).get(), &items_[begin_], live * sizeof(T));
        if (larger)
            items_ = std::move(larger);
        begin_ = 0;
        end_ = live;
    }
    /// limits: there is room.
    void append(std::span<const T> more) noexcept
    {
        if (more.empty())
            return;  // there may be no block yet
        std::memcpy(items_.get() + end_, more.data(), more.size_bytes());
        end_ += more.size();
    }
    void drop(std::size_t count) noexcept { begin_ += count; }
    void clear() noexcept { begin_ = end_ = 0; }

    /// Gives a large block back; only when empty.
    void rest() noexcept
    {
        clear();
        if (capacity_ * sizeof(T) > bytes_kept)
            *this = {};
    }

    contiguous_queue() = default;
    contiguous_queue(contiguous_queue&& other) noexcept { swap(other); }
    contiguous_queue& operator=(contiguous_queue&& other) noexcept
    {
        contiguous_queue taken{std::move(other)};
        swap(taken);
        return *this;
    }
    void swap(contiguous_queue& other) noexcept
    {
        std::swap(items_, other.items_);
        std::swap(capacity_, other.capacity_);
        std::swap(begin_, other.begin_);
        std::swap(end_, other.end_);
    }

private:
    static constexpr std::size_t bytes_min = 128;
    static constexpr std::size_t bytes_kept = 4096;

    std::unique_ptr<T[]> items_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace internal

}  // namespace whence::inline v0

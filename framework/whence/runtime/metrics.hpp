#pragma once

#include <whence/base/check.hpp>
#include <whence/base/types.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <span>
#include <string_view>

namespace whence::inline v0 {

// What follows is written by one thread and read by any: plain loads and stores, no lock, no
// allocation, nothing that makes cores wait for each other.

/// Counts what only grows.
/// limits: one writer; any number of readers, in any thread.
class counter {
public:
    void add(u64 more = 1) noexcept
    {
        value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    }
    /// Takes over a total that somebody else counts.
    void set(u64 total) noexcept { value_.store(total, std::memory_order_relaxed); }
    u64 value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<u64> value_{0};
};

/// Holds what rises and falls.
/// limits: one writer; any number of readers, in any thread.
class gauge {
public:
    void add(i64 change) noexcept { set(value() + change); }
    void set(i64 level) noexcept { value_.store(level, std::memory_order_relaxed); }
    i64 value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<i64> value_{0};
};

/// Is what a histogram held at one moment.
/// shape: counts[i] are the values above bounds[i - 1] and up to bounds[i]; the last ones are above
/// all bounds. `sum` may lack a value that is just being counted.
struct histogram_values {
    static constexpr std::size_t bounds_max = 16;

    std::span<const u64> bounds;
    std::array<u64, bounds_max + 1> counts{};
    u64 sum = 0;

    u64 count() const noexcept
    {
        u64 all = 0;
        for (const u64 some : counts)
            all += some;
        return all;
    }
    /// Adds what another histogram with the same bounds held.
    void merge(const histogram_values& other) noexcept
    {
        for (std::size_t i = 0; i < counts.size(); ++i)
            counts[i] += other.counts[i];
        sum += other.sum;
    }
};

/// Counts values by size.
/// shape: `upper_bounds` ascend and outlive the histogram.
/// limits: 16 bounds; one writer, any number of readers.
class histogram {
public:
    explicit histogram(std::span<const u64> upper_bounds) noexcept : bounds_(upper_bounds)
    {
        expects(bounds_.size() <= histogram_values::bounds_max && std::ranges::is_sorted(bounds_),
                "a histogram has at most 16 bounds, in ascending order");
    }

    void observe(u64 value) noexcept
    {
        std::size_t at = 0;
        while (at < bounds_.size() && value > bounds_[at])
            ++at;
        counts_[at].add();
        sum_.add(value);
    }

    histogram_values values() const noexcept
    {
        histogram_values now{.bounds = bounds_};
        now.sum = sum_.value();
        for (std::size_t i = 0; i < counts_.size(); ++i)
            now.counts[i] = counts_[i].value();
        return now;
    }

private:
    std::span<const u64> bounds_;
    std::array<counter, histogram_values::bounds_max + 1> counts_;
    counter sum_;
};

/// Counts by a word that is known only while it runs: a reason, a rule of the configuration.
/// shape: a word takes a slot when it first comes, and keeps it; it is copied, cut at 47 bytes.
/// What finds no slot counts as "other".
/// limits: `Capacity` words; a search looks at every one. One writer, any number of readers.
template <std::size_t Capacity>
class labelled_counter {
public:
    void add(std::string_view word, u64 more = 1) noexcept
    {
        word = word.substr(0, text_max);
        const std::size_t used = used_.load(std::memory_order_relaxed);
        for (std::size_t i = 0; i < used; ++i) {
            if (slots_[i].word() == word)
                return slots_[i].count.add(more);
        }
        if (used == Capacity)
            return other_.add(more);
        slots_[used].set(word);
        slots_[used].count.add(more);
        used_.store(used + 1, std::memory_order_release);  // a reader sees the whole word
    }

    /// Calls `visit(word, count)` for each word that has come.
    template <class Visit>
    void for_each(Visit visit) const
    {
        const std::size_t used = used_.load(std::memory_order_acquire);
        for (std::size_t i = 0; i < used; ++i)
            visit(slots_[i].word(), slots_[i].count.value());
        if (const u64 rest = other_.value())
            visit(std::string_view{"other"}, rest);
    }

    u64 value(std::string_view word) const
    {
        u64 found = 0;
        for_each([&](std::string_view each, u64 count) { found += each == word ? count : 0; });
        return found;
    }

private:
    static constexpr std::size_t text_max = 47;

    struct slot {
        u8 size = 0;
        std::array<char, text_max> text{};
        counter count;

        std::string_view word() const noexcept { return {text.data(), size}; }
        void set(std::string_view taken) noexcept
        {
            size = static_cast<u8>(taken.size());
            std::memcpy(text.data(), taken.data(), taken.size());
        }
    };

    std::array<slot, Capacity> slots_;
    std::atomic<std::size_t> used_{0};
    counter other_;
};

}  // namespace whence::inline v0

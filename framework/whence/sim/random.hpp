#pragma once

#include <whence/base/types.hpp>
#include <whence/coro/time.hpp>

#include <array>

namespace whence::inline v0::sim {

/// Draws the same numbers from the same seed, on every machine and with every compiler.
/// source: Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators" (xoshiro256**).
class random {
public:
    using result_type = u64;

    explicit random(u64 seed) noexcept
    {
        // splitmix64 spreads seeds that differ in one bit.
        for (u64& word : state_) {
            seed += 0x9e3779b97f4a7c15;
            u64 mixed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9;
            mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
            word = mixed ^ (mixed >> 31);
        }
    }

    static constexpr u64 min() noexcept { return 0; }
    static constexpr u64 max() noexcept { return ~u64{0}; }

    u64 operator()() noexcept
    {
        const auto rotated = [](u64 word, int by) { return (word << by) | (word >> (64 - by)); };
        const u64 drawn = rotated(state_[1] * 5, 7) * 9;
        const u64 shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = rotated(state_[3], 45);
        return drawn;
    }

    /// Draws from 0 to bound - 1. limits: bound at least 1.
    u64 below(u64 bound) noexcept
    {
        // The high half of a product: at these bounds the bias is far below what a test could see.
        return static_cast<u64>((static_cast<wide>((*this)()) * bound) >> 64);
    }
    /// Draws from `low` to `high`, both included.
    u64 between(u64 low, u64 high) noexcept { return low + below(high - low + 1); }
    nanoseconds between(nanoseconds low, nanoseconds high) noexcept
    {
        return low + nanoseconds(below(static_cast<u64>((high - low).count()) + 1));
    }
    /// Is true with a probability from 0 to 1. Draws nothing when it is certain.
    bool chance(double probability) noexcept
    {
        if (probability <= 0)
            return false;
        return probability >= 1 || static_cast<double>((*this)() >> 11) * 0x1.0p-53 < probability;
    }

private:
    __extension__ using wide = unsigned __int128;

    std::array<u64, 4> state_;
};

}  // namespace whence::inline v0::sim

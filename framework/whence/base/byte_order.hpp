#pragma once

#include <whence/base/types.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>

namespace whence::inline v0 {

namespace internal {

template <std::unsigned_integral Integer>
constexpr Integer reverse_bytes(Integer value) noexcept
{
    if constexpr (sizeof(Integer) == 8)
        return __builtin_bswap64(value);
    else if constexpr (sizeof(Integer) == 4)
        return __builtin_bswap32(value);
    else if constexpr (sizeof(Integer) == 2)
        return __builtin_bswap16(value);
    else
        return value;
}

// One copy and one bit_cast: g++ 12 does not see a load in a loop that shifts byte by byte
// (CRC32C of 126 bytes: 90 ns with the loop, 25 ns like this).
template <std::endian Order, std::unsigned_integral Integer>
constexpr Integer load(const std::byte* from) noexcept
{
    std::array<std::byte, sizeof(Integer)> bytes{};
    std::copy_n(from, sizeof(Integer), bytes.begin());
    const auto value = std::bit_cast<Integer>(bytes);
    return Order == std::endian::native ? value : reverse_bytes(value);
}

template <std::endian Order, std::unsigned_integral Integer>
constexpr void store(std::byte* to, Integer value) noexcept
{
    const auto ordered = Order == std::endian::native ? value : reverse_bytes(value);
    std::ranges::copy(std::bit_cast<std::array<std::byte, sizeof(Integer)>>(ordered), to);
}

}  // namespace internal

/// Reads an unsigned integer whose most significant byte comes first.
/// shape: `sizeof(Integer)` bytes from `from`, at any alignment.
template <std::unsigned_integral Integer>
constexpr Integer load_big(const std::byte* from) noexcept
{
    return internal::load<std::endian::big, Integer>(from);
}

/// Reads an unsigned integer whose least significant byte comes first; otherwise as `load_big`.
template <std::unsigned_integral Integer>
constexpr Integer load_little(const std::byte* from) noexcept
{
    return internal::load<std::endian::little, Integer>(from);
}

/// Writes an unsigned integer, most significant byte first.
/// shape: `sizeof(Integer)` bytes at `to`, at any alignment.
template <std::unsigned_integral Integer>
constexpr void store_big(std::byte* to, Integer value) noexcept
{
    internal::store<std::endian::big>(to, value);
}

/// Writes an unsigned integer, least significant byte first; otherwise as `store_big`.
template <std::unsigned_integral Integer>
constexpr void store_little(std::byte* to, Integer value) noexcept
{
    internal::store<std::endian::little>(to, value);
}

}  // namespace whence::inline v0

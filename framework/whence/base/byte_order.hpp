#pragma once

#include <whence/base/types.hpp>

#include <concepts>

namespace whence {

/// Reads an unsigned integer whose most significant byte comes first.
/// shape: `sizeof(Integer)` bytes from `from`, at any alignment.
template <std::unsigned_integral Integer>
constexpr Integer load_big(const std::byte* from) noexcept
{
    Integer value = 0;
    for (std::size_t i = 0; i < sizeof(Integer); ++i)
        value = static_cast<Integer>((u64{value} << 8) | std::to_integer<u64>(from[i]));
    return value;
}

/// Reads an unsigned integer whose least significant byte comes first; otherwise as `load_big`.
template <std::unsigned_integral Integer>
constexpr Integer load_little(const std::byte* from) noexcept
{
    Integer value = 0;
    for (std::size_t i = sizeof(Integer); i > 0; --i)
        value = static_cast<Integer>((u64{value} << 8) | std::to_integer<u64>(from[i - 1]));
    return value;
}

/// Writes an unsigned integer, most significant byte first.
/// shape: `sizeof(Integer)` bytes at `to`, at any alignment.
template <std::unsigned_integral Integer>
constexpr void store_big(std::byte* to, Integer value) noexcept
{
    for (std::size_t i = 0; i < sizeof(Integer); ++i)
        to[i] = static_cast<std::byte>(u64{value} >> (8 * (sizeof(Integer) - 1 - i)));
}

/// Writes an unsigned integer, least significant byte first; otherwise as `store_big`.
template <std::unsigned_integral Integer>
constexpr void store_little(std::byte* to, Integer value) noexcept
{
    for (std::size_t i = 0; i < sizeof(Integer); ++i)
        to[i] = static_cast<std::byte>(u64{value} >> (8 * i));
}

}  // namespace whence

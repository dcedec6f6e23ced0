#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace whence::inline v0 {

/// Name the integers by their bits.
using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i64 = std::int64_t;

/// Names bytes that someone else owns and that are only read.
using const_bytes = std::span<const std::byte>;
/// Names bytes that someone else owns and that may be written.
using mutable_bytes = std::span<std::byte>;

}  // namespace whence::inline v0

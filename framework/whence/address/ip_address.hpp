#pragma once

#include <whence/base/byte_order.hpp>
#include <whence/base/result.hpp>
#include <whence/base/types.hpp>

#include <array>
#include <compare>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace whence::inline v0 {

/// Holds an IPv4 or an IPv6 address: the number alone, no port and no scope.
/// shape: 16 bytes, IPv4 as ::ffff:a.b.c.d, and the family beside them; so prefixes of both
/// families compare the same way.
/// source: RFC 4291, RFC 5952.
class ip_address {
public:
    /// Bounds what `print` writes.
    static constexpr std::size_t text_size_max = 39;

    /// Makes 0.0.0.0.
    constexpr ip_address() noexcept : ip_address(v4(0, 0, 0, 0)) {}

    static constexpr ip_address v4(u8 a, u8 b, u8 c, u8 d) noexcept
    {
        const std::array bytes{std::byte{a}, std::byte{b}, std::byte{c}, std::byte{d}};
        return v4(bytes);
    }
    /// Makes an address of its bytes in network order.
    static constexpr ip_address v4(std::span<const std::byte, 4> bytes) noexcept
    {
        return {0, (u64{0xffff} << 32) | load_big<u32>(bytes.data()), true};
    }
    static constexpr ip_address v6(std::span<const std::byte, 16> bytes) noexcept
    {
        return {load_big<u64>(bytes.data()), load_big<u64>(bytes.data() + 8), false};
    }

    /// Reads an address: strict dotted quad without leading zeros, or IPv6 (RFC 4291, a dotted quad
    /// at its end included) without brackets or scope.
    /// errors: a sentence that names what is wrong.
    static result<ip_address, std::string> parse(std::string_view text);
    /// Reads the IPv4 address at the start of [first, last) and returns where it ends.
    /// errors: null when there is none; `out` is then unspecified.
    static const char* scan_v4(const char* first, const char* last, ip_address& out) noexcept;
    /// As `scan_v4` for IPv6. `::ffff:a.b.c.d` stays IPv6.
    static const char* scan_v6(const char* first, const char* last, ip_address& out) noexcept;

    /// Prints the address as RFC 5952 wants it and returns the part of `room` that was written.
    std::string_view print(std::span<char, text_size_max> room) const noexcept;

    constexpr bool is_v4() const noexcept { return v4_; }
    constexpr bool is_v6() const noexcept { return !v4_; }
    /// Tells whether this is IPv6 of the form ::ffff:a.b.c.d.
    constexpr bool is_v4_mapped() const noexcept
    {
        return !v4_ && high_ == 0 && low_ >> 32 == 0xffff;
    }
    /// Turns ::ffff:a.b.c.d into a.b.c.d and leaves everything else alone.
    constexpr ip_address canonical() const noexcept { return {high_, low_, v4_ || is_v4_mapped()}; }
    /// Turns a.b.c.d into ::ffff:a.b.c.d and leaves everything else alone.
    constexpr ip_address mapped() const noexcept { return {high_, low_, false}; }

    /// Tells whether all bits are zero ("any address").
    constexpr bool is_unspecified() const noexcept
    {
        return high_ == 0 && (v4_ || is_v4_mapped() ? v4_number() : low_) == 0;
    }
    constexpr bool is_loopback() const noexcept
    {
        return v4_ || is_v4_mapped() ? v4_number() >> 24 == 127 : high_ == 0 && low_ == 1;
    }
    constexpr bool is_link_local() const noexcept
    {
        return v4_ || is_v4_mapped() ? v4_number() >> 16 == 0xa9fe : high_ >> 54 == 0x3fa;
    }
    constexpr bool is_multicast() const noexcept
    {
        return v4_ || is_v4_mapped() ? v4_number() >> 28 == 0xe : high_ >> 56 == 0xff;
    }

    /// Returns how many bits the address has: 32 or 128.
    constexpr u8 bits() const noexcept { return v4_ ? 32 : 128; }
    /// Zeroes everything behind the first `count` bits. limits: at most `bits()`.
    constexpr ip_address leading(u8 count) const noexcept
    {
        expects(count <= bits(), "more bits than the address has");
        const auto kept = v4_ ? count + 96u : count;
        const auto mask = [](unsigned n) { return n == 0 ? 0 : ~u64{0} << (64 - n); };
        return {high_ & mask(kept < 64 ? kept : 64), low_ & mask(kept < 64 ? 0 : kept - 64), v4_};
    }

    /// Returns the address in 16 bytes, network order; IPv4 in its mapped form.
    constexpr std::array<std::byte, 16> bytes() const noexcept
    {
        std::array<std::byte, 16> out{};
        store_big(out.data(), high_);
        store_big(out.data() + 8, low_);
        return out;
    }
    /// Returns the last four bytes in network order: all of an IPv4 address.
    constexpr std::array<std::byte, 4> v4_bytes() const noexcept
    {
        std::array<std::byte, 4> out{};
        store_big(out.data(), v4_number());
        return out;
    }

    friend constexpr bool operator==(const ip_address&, const ip_address&) noexcept = default;
    /// Orders IPv4 before IPv6, then by value.
    friend constexpr std::strong_ordering operator<=>(const ip_address& a,
                                                      const ip_address& b) noexcept
    {
        if (a.v4_ != b.v4_)
            return a.v4_ ? std::strong_ordering::less : std::strong_ordering::greater;
        const auto order = a.high_ <=> b.high_;
        return order != 0 ? order : a.low_ <=> b.low_;
    }

private:
    friend class endpoint;
    friend struct std::hash<ip_address>;
    constexpr ip_address(u64 high, u64 low, bool is_v4) noexcept
        : high_(high), low_(low), v4_(is_v4)
    {}
    constexpr u32 v4_number() const noexcept { return static_cast<u32>(low_); }

    u64 high_;
    u64 low_;
    bool v4_;
};

/// Prints an address as RFC 5952 wants it.
std::string to_string(const ip_address& address);

}  // namespace whence::inline v0

/// Hashes an address by value, without a seed.
template <>
struct std::hash<whence::ip_address> {
    std::size_t operator()(const whence::ip_address& address) const noexcept;
};

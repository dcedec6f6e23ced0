#pragma once

#include <whence/address/ip_address.hpp>

namespace whence::inline v0 {

/// Holds a range of IP addresses that share a prefix, such as 10.0.0.0/8.
/// ::ffff:10.0.0.0/104 is the same network as 10.0.0.0/8; an IPv6 network never holds IPv4.
/// source: RFC 4632, RFC 4291 section 2.3.
class network {
public:
    /// Makes the network of an address and how many of its leading bits count.
    /// limits: 32 bits for IPv4, 128 for IPv6; bits behind the prefix must be zero.
    constexpr network(const ip_address& address, u8 prefix_bits) noexcept
        : address_(address), prefix_bits_(prefix_bits)
    {
        expects(address.leading(prefix_bits) == address, "bits set behind the prefix");
        // A prefix shorter than that of ::ffff:0:0/96 spans more than IPv4, so it stays IPv6.
        if (address.is_v4_mapped() && prefix_bits >= 96) {
            address_ = address.canonical();
            prefix_bits_ = static_cast<u8>(prefix_bits - 96);
        }
    }

    /// Reads "10.0.0.0/8", "2001:db8::/32", or an address alone for all of its bits.
    /// errors: a sentence that names what is wrong; bits behind the prefix are refused, and the
    /// network that was probably meant is named.
    static result<network, std::string> parse(std::string_view text);

    /// Tells whether the address lies within; ::ffff:a.b.c.d counts as a.b.c.d.
    constexpr bool contains(const ip_address& address) const noexcept
    {
        const auto canonical = address.canonical();
        return canonical.is_v4() == address_.is_v4() && canonical.leading(prefix_bits_) == address_;
    }

    /// Return the first address, and how many leading bits count.
    constexpr ip_address address() const noexcept { return address_; }
    constexpr u8 prefix_bits() const noexcept { return prefix_bits_; }

    friend constexpr bool operator==(const network&, const network&) noexcept = default;

private:
    ip_address address_;
    u8 prefix_bits_;
};

/// Prints a network as `network::parse` reads it.
std::string to_string(const network& value);

}  // namespace whence::inline v0

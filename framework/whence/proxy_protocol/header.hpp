#pragma once

#include <whence/address/endpoint.hpp>
#include <whence/proxy_protocol/tlv.hpp>

#include <array>
#include <memory>

namespace whence::inline v0::proxy_protocol {

/// Says whether the proxy speaks for itself (LOCAL) or for a client (PROXY).
enum class command : u8 { local = 0, proxy = 1 };
/// Say what the addresses are, with the specification's words and numbers.
enum class family : u8 { unspec = 0, inet = 1, inet6 = 2, unix_socket = 3 };
enum class transport : u8 { unspec = 0, stream = 1, dgram = 2 };

/// Return the specification's word: "LOCAL", "INET6", "STREAM", ...
std::string_view to_string(command value) noexcept;
std::string_view to_string(family value) noexcept;
std::string_view to_string(transport value) noexcept;

/// Measures the addresses of a family on the wire: 0, 12, 36 or 216 bytes.
constexpr std::size_t address_block_size(family value) noexcept
{
    constexpr std::array<std::size_t, 4> sizes{0, 12, 36, 216};
    return sizes[static_cast<std::size_t>(value)];
}

/// Begin the two versions. Version 2's holds a NUL.
inline constexpr std::string_view v1_signature = "PROXY";
inline constexpr std::string_view v2_signature{"\r\n\r\n\0\r\nQUIT\n", 12};

/// Bounds a version 1 line, CRLF included, and what precedes the length field of version 2.
inline constexpr std::size_t v1_size_max = 107;
inline constexpr std::size_t v2_fixed_size = 16;

/// Holds a header's fixed part. A header without usable addresses is UNSPEC in both words.
struct header_fields {
    u32 size = 0;
    u8 version = 2;
    proxy_protocol::command command = proxy_protocol::command::local;
    proxy_protocol::family family = proxy_protocol::family::unspec;
    proxy_protocol::transport transport = proxy_protocol::transport::unspec;
};

/// Views a decoded header.
/// shape: borrows the caller's bytes, which must outlive it, but for the addresses of version 1
/// (a copy, in version 2's layout).
class header_view {
public:
    header_view() noexcept = default;
    /// Views a version 2 header: `block` is its address block, of the size that its family has.
    header_view(const header_fields& fields, const std::byte* block, tlv_range tlvs) noexcept
        : fields_(fields), block_(block), tlvs_(tlvs)
    {}
    /// Makes a version 1 header of its addresses; only the family's part of `block` counts.
    header_view(const header_fields& fields, const std::array<std::byte, 36>& block) noexcept
        : fields_(fields), v1_block_(block)
    {}

    u8 version() const noexcept { return fields_.version; }
    proxy_protocol::command command() const noexcept { return fields_.command; }
    proxy_protocol::family family() const noexcept { return fields_.family; }
    proxy_protocol::transport transport() const noexcept { return fields_.transport; }
    /// Returns how many bytes the header has on the wire; the payload begins there.
    std::size_t size() const noexcept { return fields_.size; }
    const header_fields& fields() const noexcept { return fields_; }

    /// Tells whether the header names a client: not LOCAL, not UNKNOWN, not UNSPEC.
    bool has_addresses() const noexcept { return family() != proxy_protocol::family::unspec; }
    /// Return whom the header names, canonical (::ffff:a.b.c.d is IPv4); empty when nobody.
    /// limits: allocates for a UNIX name.
    endpoint source() const { return source_as_sent().canonical(); }
    endpoint destination() const { return destination_as_sent().canonical(); }
    /// Return the same as the sender wrote it.
    endpoint source_as_sent() const;
    endpoint destination_as_sent() const;
    /// Returns both addresses as version 2 has them on the wire, in network order.
    const_bytes address_block() const noexcept
    {
        return {block_ != nullptr ? block_ : v1_block_.data(), address_block_size(family())};
    }

    /// Returns the entries; none for version 1, LOCAL and UNSPEC, whose blocks have no known end.
    tlv_range tlvs() const noexcept { return tlvs_; }

private:
    header_fields fields_;
    const std::byte* block_ = nullptr;
    tlv_range tlvs_;
    std::array<std::byte, 36> v1_block_{};
};

/// Owns a decoded header for as long as a connection wants to know it.
/// shape: 16 bytes and one allocation of addresses and entries, right-sized; none without both.
class header {
public:
    explicit header(const header_view& view);

    /// Views what is owned; not longer than this lives and stays unmoved.
    header_view view() const noexcept;

private:
    header_fields fields_;
    std::unique_ptr<std::byte[]> bytes_;
};

static_assert(sizeof(header) == 16);

}  // namespace whence::inline v0::proxy_protocol

#pragma once

#include <whence/base/byte_order.hpp>
#include <whence/base/types.hpp>

#include <compare>
#include <iterator>
#include <optional>
#include <string_view>

namespace whence::inline v0::proxy_protocol {

/// Names the registered types; any other value of a byte is legal too.
/// source: section 2.2 of the specification; aws, azure and gcp are those clouds' custom types.
enum class tlv_type : u8 {
    alpn = 0x01,
    authority = 0x02,
    crc32c = 0x03,
    noop = 0x04,
    unique_id = 0x05,
    ssl = 0x20,
    ssl_version = 0x21,
    ssl_cn = 0x22,
    ssl_cipher = 0x23,
    ssl_sig_alg = 0x24,
    ssl_key_alg = 0x25,
    ssl_group = 0x26,
    ssl_sig_scheme = 0x27,
    ssl_client_cert = 0x28,
    netns = 0x30,
    gcp = 0xe0,
    aws = 0xea,
    azure = 0xee,
};

/// Returns the type's name in `tlv_type`, or "custom" (0xE0-0xEF), "experimental" (0xF0-0xF7),
/// "future" (0xF8-0xFF), "unknown".
std::string_view tlv_name(tlv_type type) noexcept;

/// Bounds a unique id (section 2.2.5).
inline constexpr std::size_t unique_id_size_max = 128;

/// Views one type-length-value entry of a header.
/// shape: on the wire one byte type, two bytes length (big-endian), then the value.
struct tlv {
    tlv_type type;
    const_bytes value;
};

class ssl_tlv;

/// Views the entries of a header in wire order, duplicates included; iterate it, or ask for one.
/// shape: owns nothing; the bytes must outlive it and everything it returns.
/// limits: an entry that does not fit ends the iteration, so any bytes are safe to view. Where a
/// type occurs twice the accessors answer for the first. What a peer wrote is only as true as the
/// peer; text accessors refuse NUL, CR, LF and what is not UTF-8 (`find` still has the bytes).
class tlv_range {
public:
    class iterator;

    constexpr tlv_range() noexcept = default;
    constexpr explicit tlv_range(const_bytes bytes) noexcept : bytes_(bytes) {}

    constexpr iterator begin() const noexcept;
    constexpr std::default_sentinel_t end() const noexcept { return {}; }
    constexpr bool empty() const noexcept;
    /// Tells whether the entries fill the bytes exactly, with nothing left over.
    constexpr bool well_formed() const noexcept;
    /// Returns all entries as they were on the wire.
    constexpr const_bytes bytes() const noexcept { return bytes_; }

    /// Returns the value of the first entry of a type.
    std::optional<const_bytes> find(tlv_type type) const noexcept;

    /// Returns the application protocol that TLS negotiated, such as "h2": opaque bytes.
    std::optional<const_bytes> alpn() const noexcept { return find(tlv_type::alpn); }
    /// Returns the host name that the client asked for, UTF-8.
    std::optional<std::string_view> authority() const noexcept;
    /// Returns the checksum as sent; `parse` has verified it unless told not to.
    std::optional<u32> crc32c() const noexcept;
    /// Returns the id that a proxy gave the connection: opaque, at most 128 bytes.
    std::optional<const_bytes> unique_id() const noexcept;
    /// Returns what is said about the client's TLS connection.
    std::optional<ssl_tlv> ssl() const noexcept;
    /// Returns the name of the network namespace, ASCII.
    std::optional<std::string_view> netns() const noexcept;
    /// Returns the id of an AWS VPC endpoint ("vpce-..."). shape: 0xEA, subtype 1, ASCII.
    std::optional<std::string_view> aws_vpc_endpoint_id() const noexcept;
    /// Returns the id of an Azure private link. shape: 0xEE, subtype 1, 4 bytes little-endian.
    std::optional<u32> azure_link_id() const noexcept;
    /// Returns the id of a GCP private service connection. shape: 0xE0, 8 bytes big-endian.
    std::optional<u64> gcp_psc_connection_id() const noexcept;

private:
    const_bytes bytes_;
};

/// Walks over the entries, views of the same bytes.
class tlv_range::iterator {
public:
    using value_type = tlv;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::forward_iterator_tag;

    constexpr iterator() noexcept = default;
    constexpr explicit iterator(const_bytes rest) noexcept : rest_(rest) { bound(); }

    constexpr tlv operator*() const noexcept
    {
        return {static_cast<tlv_type>(rest_[0]), rest_.subspan(3, size_)};
    }
    constexpr iterator& operator++() noexcept
    {
        rest_ = rest_.subspan(3 + size_);
        bound();
        return *this;
    }
    constexpr iterator operator++(int) noexcept
    {
        auto before = *this;
        ++*this;
        return before;
    }
    friend constexpr bool operator==(const iterator& a, const iterator& b) noexcept
    {
        return a.rest_.size() == b.rest_.size();
    }
    friend constexpr bool operator==(const iterator& a, std::default_sentinel_t) noexcept
    {
        return a.rest_.empty();
    }

private:
    // Establishes: empty, or one whole entry stands at the front.
    constexpr void bound() noexcept
    {
        size_ = rest_.size() < 3 ? std::size_t{0} : load_big<u16>(rest_.data() + 1);
        if (rest_.size() < 3 + size_)
            rest_ = {};
    }

    const_bytes rest_;
    std::size_t size_ = 0;
};

constexpr tlv_range::iterator tlv_range::begin() const noexcept
{
    return iterator{bytes_};
}

constexpr bool tlv_range::empty() const noexcept
{
    return begin() == end();
}

constexpr bool tlv_range::well_formed() const noexcept
{
    std::size_t size = 0;
    for (const auto entry : *this)
        size += 3 + entry.value.size();
    return size == bytes_.size();
}

/// Views an SSL entry: what the proxy says about the TLS connection that it ended.
/// shape: as `tlv_range`; sub-entries are one level deep.
/// source: section 2.2.6 of the specification.
class ssl_tlv {
public:
    static constexpr u8 client_ssl = 0x01;
    static constexpr u8 client_cert_conn = 0x02;
    static constexpr u8 client_cert_sess = 0x04;

    /// Views an entry's value. limits: at least 5 bytes.
    explicit ssl_tlv(const_bytes value) noexcept;

    /// Return the fields as sent. `verify() == 0` alone proves nothing: HAProxy sends it without
    /// any certificate; ask `verified_client_certificate()`.
    u8 client() const noexcept { return client_; }
    u32 verify() const noexcept { return verify_; }
    /// Tells whether the client came over TLS.
    bool over_tls() const noexcept { return (client_ & client_ssl) != 0; }
    /// Tells whether the client proved a certificate, now or earlier in its TLS session.
    bool verified_client_certificate() const noexcept
    {
        return (client_ & (client_cert_conn | client_cert_sess)) != 0 && verify_ == 0;
    }

    /// Returns the sub-entries, raw.
    tlv_range tlvs() const noexcept { return tlvs_; }

    /// Return the sub-entries by name; all are ASCII text but `cn` (UTF-8) and `client_cert` (DER).
    std::optional<std::string_view> version() const noexcept;
    std::optional<std::string_view> cn() const noexcept;
    std::optional<std::string_view> cipher() const noexcept;
    std::optional<std::string_view> sig_alg() const noexcept;
    std::optional<std::string_view> key_alg() const noexcept;
    std::optional<std::string_view> group() const noexcept;
    std::optional<std::string_view> sig_scheme() const noexcept;
    std::optional<const_bytes> client_cert() const noexcept
    {
        return tlvs_.find(tlv_type::ssl_client_cert);
    }

private:
    u8 client_;
    u32 verify_;
    tlv_range tlvs_;
};

}  // namespace whence::inline v0::proxy_protocol

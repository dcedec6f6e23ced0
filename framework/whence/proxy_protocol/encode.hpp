#pragma once

#include <whence/proxy_protocol/header.hpp>

#include <vector>

namespace whence::inline v0::proxy_protocol {

/// Says why a header was not written.
enum class encode_error : u8 {
    version_unknown,      ///< neither 1 nor 2
    room_too_small,       ///< `out` ends before the header does
    too_large,            ///< more than 65535 bytes behind the fixed 16
    v1_datagram,          ///< version 1 has no word for datagrams
    v1_local,             ///< version 1 cannot say LOCAL: send the connection's own two ends
    v1_no_tlvs,           ///< version 1 has no TLVs, no checksum, no padding
    local_no_tlvs,        ///< LOCAL says nothing about a client
    tlv_reserved,         ///< CRC32C and NOOP are written on request, never given
    tlv_future,           ///< types 0xF8 to 0xFF are not to be sent
    tlv_experimental,     ///< types 0xF0 to 0xF7 only when asked for
    tlv_malformed,        ///< an SSL value that a receiver must refuse
    unique_id_too_long,   ///< more than 128 bytes
    ssl_version_missing,  ///< an SSL entry must name the TLS version
};

/// Returns the name: "too_large", "tlv_future", ...
std::string_view to_string(encode_error value) noexcept;

/// Says what is known about the client's TLS connection. Empty texts are left out.
/// source: section 2.2.6 of the specification.
struct ssl_fields {
    /// Describes the certificate that the client gave.
    struct certificate {
        std::string_view cn;          ///< the subject's common name, UTF-8; sent even when empty
        u32 verify = 0;               ///< 0 when it was verified, else why not (X.509 error)
        bool this_connection = true;  ///< false: given earlier in the same TLS session
        const_bytes der = {};         ///< all of it, when the receiver should see it
    };
    std::string_view version;  ///< "TLSv1.3"; demanded
    std::string_view cipher = {};
    std::string_view sig_alg = {};
    std::string_view key_alg = {};
    std::string_view group = {};
    std::string_view sig_scheme = {};
    /// Nothing when the client gave none; `verify` is then sent as 1, so that zero means verified.
    std::optional<certificate> client_cert = {};
};

/// Sets what is written beside the addresses.
struct encode_options {
    u8 version = 2;
    proxy_protocol::command command = command::proxy;
    proxy_protocol::transport transport = transport::stream;
    /// Entries in the order in which they go out.
    std::span<const tlv> tlvs = {};
    const ssl_fields* ssl = nullptr;
    /// Ends the header with a checksum. LOCAL has none.
    bool crc32c = false;
    /// Pads with NOOP to at least this size, and to a multiple of that one (0: neither).
    /// units: bytes of the whole header. A gap below 3, which no entry fits, moves to the next.
    u32 pad_to = 0;
    u32 align = 0;
    bool allow_experimental = false;
};

/// Writes a header into `out` and returns its size.
/// The endpoints decide the family: both IPv4 (or mapped) is INET; one IPv6 makes both IPv6, the
/// other one mapped; both UNIX is UNIX; anything else, an empty endpoint too, cannot be said and
/// goes out as UNKNOWN or UNSPEC. LOCAL ignores them.
/// limits: allocates nothing. Send it before everything else, in one write with what follows.
/// source: sections 2.1 and 2.2 of the specification; docs/proxy_protocol.md.
result<std::size_t, encode_error> encode(const endpoint& source, const endpoint& destination,
                                         const encode_options& options, mutable_bytes out) noexcept;

/// Writes a header into bytes of exactly its size; otherwise the same.
result<std::vector<std::byte>, encode_error>
encode(const endpoint& source, const endpoint& destination, const encode_options& options = {});

}  // namespace whence::inline v0::proxy_protocol

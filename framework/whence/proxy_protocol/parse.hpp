#pragma once

#include <whence/proxy_protocol/header.hpp>

namespace whence::inline v0::proxy_protocol {

/// Says how far a header has been read.
enum class parse_status : u8 {
    complete,    ///< a whole, valid header
    incomplete,  ///< a proper prefix of something that may become valid
    malformed,   ///< a header that breaks a rule
    not_proxy,   ///< no header at all
};

/// Says which rule was broken.
enum class parse_reason : u8 {
    none,
    need_more,
    no_signature,
    empty,
    truncated_datagram,
    too_large,
    unspec_not_allowed,
    v1_not_allowed,
    v1_in_datagram,
    v1_space,
    v1_protocol,
    v1_too_long,
    v1_bare_cr,
    v1_bare_lf,
    v1_fields,
    v1_ipv4,
    v1_ipv4_leading_zero,
    v1_ipv6,
    v1_port,
    v1_port_leading_zero,
    v1_port_range,
    v2_not_allowed,
    v2_version,
    v2_command,
    v2_family,
    v2_transport,
    v2_short_address_block,
    tlv_truncated_header,
    tlv_overrun,
    unique_id_too_long,
    ssl_tlv_short,
    crc_length,
    crc_duplicate,
    crc_mismatch,
    crc_missing,
};

/// Return the name: "incomplete", "v2_command", ...
std::string_view to_string(parse_status value) noexcept;
std::string_view to_string(parse_reason value) noexcept;

/// Says what the bytes come from: a stream that may grow, or one datagram that is all there is.
enum class parse_profile : u8 { stream, datagram };

/// Sets what is accepted. The defaults are the specification's.
struct parse_options {
    /// Bounds version 2 behind its fixed 16 bytes; refused as soon as those are there.
    u32 header_size_max = 4096;
    parse_profile profile = parse_profile::stream;
    bool allow_v1 = true;
    bool allow_v2 = true;
    /// Accepts PROXY without usable addresses (UNKNOWN, UNSPEC): "somebody, we cannot say who".
    bool accept_unspec = true;
    /// Accepts IPv4 text in a TCP6 line, which nginx's stream module writes.
    bool accept_ipv4_in_tcp6 = false;
    /// Accepts version 1 in a datagram, though it has no word for UDP.
    bool allow_v1_in_datagram = false;
    /// Verifies a checksum that is there.
    bool verify_crc32c = true;
    /// Refuses addresses without a checksum: all of version 1, and version 2 that has none.
    bool require_crc32c = false;
};

/// Holds what `parse` found.
struct [[nodiscard]] parse_result {
    parse_status status = parse_status::incomplete;
    parse_reason reason = parse_reason::none;
    /// Where the broken rule shows, in bytes from the start.
    u32 position = 0;
    /// How many bytes are missing at least, when incomplete.
    u32 missing = 0;
    /// The header, when complete; it borrows the bytes that were parsed.
    header_view header;
};

/// Decodes the header at the start of `bytes`; what follows it is payload and is not looked at.
/// Call it again with more bytes when it is incomplete: it keeps no state, and decides as early as
/// the bytes allow.
/// limits: allocates nothing; every length is checked before it is used.
/// errors: a status and a reason, never an exception.
/// source: the specification's sections 2.1 and 2.2; docs/proxy_protocol.md names every decision.
parse_result parse(const_bytes bytes, const parse_options& options = {}) noexcept;

}  // namespace whence::inline v0::proxy_protocol

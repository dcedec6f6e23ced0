#include <whence/proxy_protocol/parse.hpp>

#include <whence/proxy_protocol/crc32c.hpp>
#include <whence/proxy_protocol/parse_v1.hpp>

#include <algorithm>
#include <cstring>

// Version 2:
//
//   0            12        13       14      16             16+block          16+length
//   | signature  | ver cmd | fam tr | length | address block | TLV TLV ...   | payload
//
// LOCAL and UNSPEC have no block of known size, so what follows byte 16 is skipped unread.

namespace whence::inline v0::proxy_protocol {
namespace {

using internal::fault;

bool begins_with(const_bytes bytes, std::string_view signature) noexcept
{
    return bytes.size() >= signature.size() &&
           std::memcmp(bytes.data(), signature.data(), signature.size()) == 0;
}

/// Checks that entries fill [begin, end) exactly and asks `check(type, value_begin, value_end)`
/// about each.
template <class Check>
fault check_entries(const std::byte* bytes, u32 begin, u32 end, Check check) noexcept
{
    for (auto at = begin; at != end;) {
        if (end - at < 3)
            return {parse_reason::tlv_truncated_header, at};
        const u32 size = load_big<u16>(bytes + at + 1);
        if (size > end - at - 3)
            return {parse_reason::tlv_overrun, at};
        const auto value = at + 3;
        const fault found = check(static_cast<tlv_type>(bytes[at]), value, value + size);
        if (found.reason != parse_reason::none)
            return found;
        at = value + size;
    }
    return {};
}

/// Checks all entries and finds where the checksum is: 0 when there is none.
fault check_tlvs(const std::byte* bytes, u32 begin, u32 end, u32& crc_at) noexcept
{
    return check_entries(bytes, begin, end, [&](tlv_type type, u32 value, u32 value_end) -> fault {
        const auto size = value_end - value;
        switch (type) {
        case tlv_type::crc32c:
            if (size != 4)
                return {parse_reason::crc_length, value - 3};
            if (crc_at != 0)
                return {parse_reason::crc_duplicate, value - 3};
            crc_at = value;
            return {};
        case tlv_type::unique_id:
            if (size > unique_id_size_max)
                return {parse_reason::unique_id_too_long, value - 3};
            return {};
        case tlv_type::ssl:
            if (size < 5)
                return {parse_reason::ssl_tlv_short, value - 3};
            return check_entries(bytes, value + 5, value_end,
                                 [](tlv_type, u32, u32) -> fault { return {}; });
        default:
            return {};
        }
    });
}

bool crc_matches(const_bytes header, u32 crc_at) noexcept
{
    constexpr std::array<std::byte, 4> zeros{};
    const auto before = crc32c(header.first(crc_at));
    const auto sum = crc32c(header.subspan(crc_at + 4), crc32c(zeros, before));
    return sum == load_big<u32>(&header[crc_at]);
}

/// Reads version and command, family and transport, and the length, as far as they are there.
fault check_fixed(const_bytes bytes, const parse_options& options, header_fields& fields) noexcept
{
    if (!options.allow_v2)
        return {parse_reason::v2_not_allowed, 0};
    if (bytes.size() < 13)
        return {};
    const auto version_command = std::to_integer<unsigned>(bytes[12]);
    if (version_command >> 4 != 2)
        return {parse_reason::v2_version, 12};
    if ((version_command & 15) > 1)
        return {parse_reason::v2_command, 12};
    fields.command = static_cast<command>(version_command & 15);
    if (bytes.size() < 14)
        return {};
    if (fields.command == command::proxy) {
        const auto family_transport = std::to_integer<unsigned>(bytes[13]);
        if (family_transport >> 4 > 3)
            return {parse_reason::v2_family, 13};
        if ((family_transport & 15) > 2)
            return {parse_reason::v2_transport, 13};
        if (family_transport >> 4 != 0 && (family_transport & 15) != 0) {
            fields.family = static_cast<family>(family_transport >> 4);
            fields.transport = static_cast<transport>(family_transport & 15);
        } else if (!options.accept_unspec) {
            return {parse_reason::unspec_not_allowed, 13};
        }
    }
    if (bytes.size() < v2_fixed_size)
        return {};
    const u32 length = load_big<u16>(&bytes[14]);
    if (length > options.header_size_max)
        return {parse_reason::too_large, 14};
    if (length < address_block_size(fields.family))
        return {parse_reason::v2_short_address_block, 14};
    fields.size = static_cast<u32>(v2_fixed_size) + length;
    return {};
}

parse_result parse_v2(const_bytes bytes, const parse_options& options) noexcept
{
    header_fields fields;
    if (const auto found = check_fixed(bytes, options, fields); found.reason != parse_reason::none)
        return internal::refused(found);
    const auto wanted = std::max<std::size_t>(fields.size, v2_fixed_size);
    if (bytes.size() < wanted)
        return internal::wanting(wanted - bytes.size());

    const auto* block = bytes.data() + v2_fixed_size;
    tlv_range tlvs;
    if (fields.family != family::unspec) {
        const auto tlvs_begin = static_cast<u32>(v2_fixed_size + address_block_size(fields.family));
        u32 crc_at = 0;
        const auto found = check_tlvs(bytes.data(), tlvs_begin, fields.size, crc_at);
        if (found.reason != parse_reason::none)
            return internal::refused(found);
        if (crc_at == 0 && options.require_crc32c)
            return internal::refused({parse_reason::crc_missing, 0});
        if (crc_at != 0 && (options.verify_crc32c || options.require_crc32c) &&
            !crc_matches(bytes.first(fields.size), crc_at))
            return internal::refused({parse_reason::crc_mismatch, crc_at - 3});
        tlvs = tlv_range{bytes.subspan(tlvs_begin, fields.size - tlvs_begin)};
    }
    return {parse_status::complete, parse_reason::none, 0, 0, header_view{fields, block, tlvs}};
}

/// Measures how far the bytes agree with a signature.
std::size_t common_size(const_bytes bytes, std::string_view signature) noexcept
{
    std::size_t size = 0;
    while (size < bytes.size() && size < signature.size() &&
           bytes[size] == static_cast<std::byte>(signature[size]))
        ++size;
    return size;
}

/// Decides by the first bytes: version 2, version 1, too few to tell, or neither.
parse_result parse_any(const_bytes bytes, const parse_options& options) noexcept
{
    if (begins_with(bytes, v2_signature))
        return parse_v2(bytes, options);
    if (begins_with(bytes, v1_signature))
        return internal::parse_v1(bytes, options);
    const auto v1_common = common_size(bytes, v1_signature);
    const auto v2_common = common_size(bytes, v2_signature);
    if (v1_common == bytes.size())
        return internal::wanting(internal::v1_size_min - bytes.size());
    if (v2_common == bytes.size())
        return internal::wanting(v2_fixed_size - bytes.size());
    const auto position = static_cast<u32>(std::max(v1_common, v2_common));
    return {parse_status::not_proxy, parse_reason::no_signature, position, 0, {}};
}

}  // namespace

parse_result parse(const_bytes bytes, const parse_options& options) noexcept
{
    auto out = parse_any(bytes, options);
    if (options.profile == parse_profile::datagram && out.status == parse_status::incomplete) {
        const auto reason = bytes.empty() ? parse_reason::empty : parse_reason::truncated_datagram;
        out = internal::refused({reason, static_cast<u32>(bytes.size())});
    }
    return out;
}

std::string_view to_string(parse_status value) noexcept
{
    constexpr std::array<std::string_view, 4> names{"complete", "incomplete", "malformed",
                                                    "not_proxy"};
    return names[static_cast<std::size_t>(value)];
}

std::string_view to_string(parse_reason value) noexcept
{
    constexpr auto names = std::to_array<std::string_view>({
        "none",
        "need_more",
        "no_signature",
        "empty",
        "truncated_datagram",
        "too_large",
        "unspec_not_allowed",
        "v1_not_allowed",
        "v1_in_datagram",
        "v1_space",
        "v1_protocol",
        "v1_too_long",
        "v1_bare_cr",
        "v1_bare_lf",
        "v1_fields",
        "v1_ipv4",
        "v1_ipv4_leading_zero",
        "v1_ipv6",
        "v1_port",
        "v1_port_leading_zero",
        "v1_port_range",
        "v2_not_allowed",
        "v2_version",
        "v2_command",
        "v2_family",
        "v2_transport",
        "v2_short_address_block",
        "tlv_truncated_header",
        "tlv_overrun",
        "unique_id_too_long",
        "ssl_tlv_short",
        "crc_length",
        "crc_duplicate",
        "crc_mismatch",
        "crc_missing",
    });
    static_assert(names.size() == static_cast<std::size_t>(parse_reason::crc_missing) + 1);
    return names[static_cast<std::size_t>(value)];
}

}  // namespace whence::inline v0::proxy_protocol

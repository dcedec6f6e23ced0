#include <whence/proxy_protocol/tlv.hpp>

#include <whence/base/check.hpp>
#include <whence/base/text.hpp>

#include <algorithm>

namespace whence::inline v0::proxy_protocol {
namespace {

/// Refuses what could forge a line of a log or a header further on.
std::optional<std::string_view> checked_utf8(std::optional<const_bytes> value) noexcept
{
    if (!value)
        return std::nullopt;
    const auto text = as_text(*value);
    const auto forges = [](char c) { return c == '\0' || c == '\r' || c == '\n'; };
    if (std::ranges::any_of(text, forges) || !is_utf8(text))
        return std::nullopt;
    return text;
}

std::optional<std::string_view> checked_ascii(std::optional<const_bytes> value) noexcept
{
    const auto text = checked_utf8(value);
    if (text && std::ranges::any_of(*text, [](char c) { return (c & 0x80) != 0; }))
        return std::nullopt;
    return text;
}

/// Finds the first entry of a cloud's type that has the wanted subtype, and returns what follows.
std::optional<const_bytes> find_subtype(tlv_range entries, tlv_type type, u8 subtype) noexcept
{
    for (const auto& entry : entries)
        if (entry.type == type && !entry.value.empty() && entry.value[0] == std::byte{subtype})
            return entry.value.subspan(1);
    return std::nullopt;
}

}  // namespace

std::string_view tlv_name(tlv_type type) noexcept
{
    switch (type) {
    case tlv_type::alpn:
        return "alpn";
    case tlv_type::authority:
        return "authority";
    case tlv_type::crc32c:
        return "crc32c";
    case tlv_type::noop:
        return "noop";
    case tlv_type::unique_id:
        return "unique_id";
    case tlv_type::ssl:
        return "ssl";
    case tlv_type::ssl_version:
        return "ssl_version";
    case tlv_type::ssl_cn:
        return "ssl_cn";
    case tlv_type::ssl_cipher:
        return "ssl_cipher";
    case tlv_type::ssl_sig_alg:
        return "ssl_sig_alg";
    case tlv_type::ssl_key_alg:
        return "ssl_key_alg";
    case tlv_type::ssl_group:
        return "ssl_group";
    case tlv_type::ssl_sig_scheme:
        return "ssl_sig_scheme";
    case tlv_type::ssl_client_cert:
        return "ssl_client_cert";
    case tlv_type::netns:
        return "netns";
    case tlv_type::gcp:
        return "gcp";
    case tlv_type::aws:
        return "aws";
    case tlv_type::azure:
        return "azure";
    }
    const auto value = static_cast<u8>(type);
    return value >= 0xf8   ? "future"
           : value >= 0xf0 ? "experimental"
           : value >= 0xe0 ? "custom"
                           : "unknown";
}

std::optional<const_bytes> tlv_range::find(tlv_type type) const noexcept
{
    for (const auto& entry : *this)
        if (entry.type == type)
            return entry.value;
    return std::nullopt;
}

std::optional<std::string_view> tlv_range::authority() const noexcept
{
    return checked_utf8(find(tlv_type::authority));
}

std::optional<u32> tlv_range::crc32c() const noexcept
{
    const auto value = find(tlv_type::crc32c);
    return value && value->size() == 4 ? std::optional{load_big<u32>(value->data())} : std::nullopt;
}

std::optional<const_bytes> tlv_range::unique_id() const noexcept
{
    const auto value = find(tlv_type::unique_id);
    return value && value->size() <= unique_id_size_max ? value : std::nullopt;
}

std::optional<ssl_tlv> tlv_range::ssl() const noexcept
{
    const auto value = find(tlv_type::ssl);
    return value && value->size() >= 5 ? std::optional{ssl_tlv{*value}} : std::nullopt;
}

std::optional<std::string_view> tlv_range::netns() const noexcept
{
    return checked_ascii(find(tlv_type::netns));
}

std::optional<std::string_view> tlv_range::aws_vpc_endpoint_id() const noexcept
{
    return checked_ascii(find_subtype(*this, tlv_type::aws, 1));
}

std::optional<u32> tlv_range::azure_link_id() const noexcept
{
    const auto value = find_subtype(*this, tlv_type::azure, 1);
    return value && value->size() == 4 ? std::optional{load_little<u32>(value->data())}
                                       : std::nullopt;
}

std::optional<u64> tlv_range::gcp_psc_connection_id() const noexcept
{
    const auto value = find(tlv_type::gcp);
    return value && value->size() == 8 ? std::optional{load_big<u64>(value->data())} : std::nullopt;
}

ssl_tlv::ssl_tlv(const_bytes value) noexcept
{
    expects(value.size() >= 5, "SSL entry of at least 5 bytes");
    client_ = std::to_integer<u8>(value[0]);
    verify_ = load_big<u32>(value.data() + 1);
    tlvs_ = tlv_range{value.subspan(5)};
}

std::optional<std::string_view> ssl_tlv::version() const noexcept
{
    return checked_ascii(tlvs_.find(tlv_type::ssl_version));
}
std::optional<std::string_view> ssl_tlv::cn() const noexcept
{
    return checked_utf8(tlvs_.find(tlv_type::ssl_cn));
}
std::optional<std::string_view> ssl_tlv::cipher() const noexcept
{
    return checked_ascii(tlvs_.find(tlv_type::ssl_cipher));
}
std::optional<std::string_view> ssl_tlv::sig_alg() const noexcept
{
    return checked_ascii(tlvs_.find(tlv_type::ssl_sig_alg));
}
std::optional<std::string_view> ssl_tlv::key_alg() const noexcept
{
    return checked_ascii(tlvs_.find(tlv_type::ssl_key_alg));
}
std::optional<std::string_view> ssl_tlv::group() const noexcept
{
    return checked_ascii(tlvs_.find(tlv_type::ssl_group));
}
std::optional<std::string_view> ssl_tlv::sig_scheme() const noexcept
{
    return checked_ascii(tlvs_.find(tlv_type::ssl_sig_scheme));
}

}  // namespace whence::inline v0::proxy_protocol

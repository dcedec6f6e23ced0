// Feeds the parser with anything. The first byte chooses the options, the rest is the wire. Checks
// what must hold for all bytes:
//   - a header never ends behind the bytes, and what ends it is enough to decode it again;
//   - every shorter prefix is incomplete (a datagram: refused);
//   - what was accepted can be written again and says the same;
//   - an owned copy says the same, and no accessor reads out of bounds.

#include <whence/base/check.hpp>
#include <whence/proxy_protocol/encode.hpp>
#include <whence/proxy_protocol/parse.hpp>

#include <vector>

using namespace whence;
using namespace whence::proxy_protocol;

namespace {

parse_options options_of(unsigned bits)
{
    return {
        .header_size_max = bits & 1 ? 65535u : 4096u,
        .profile = bits & 2 ? parse_profile::datagram : parse_profile::stream,
        .accept_unspec = (bits & 4) == 0,
        .accept_ipv4_in_tcp6 = (bits & 8) != 0,
        .allow_v1_in_datagram = (bits & 16) != 0,
        .verify_crc32c = (bits & 32) == 0,
        .require_crc32c = (bits & 64) != 0,
    };
}

bool same(const_bytes a, const_bytes b)
{
    return std::ranges::equal(a, b);
}

bool same(const header_view& a, const header_view& b)
{
    return a.version() == b.version() && a.command() == b.command() && a.family() == b.family() &&
           a.transport() == b.transport() && a.size() == b.size() &&
           same(a.address_block(), b.address_block()) && same(a.tlvs().bytes(), b.tlvs().bytes()) &&
           a.source_as_sent() == b.source_as_sent() &&
           a.destination_as_sent() == b.destination_as_sent();
}

void touch_accessors(tlv_range tlvs)
{
    ensures(tlvs.well_formed(), "accepted entries fill their room");
    std::size_t seen = 0;
    for (const auto entry : tlvs)
        seen += tlv_name(entry.type).size() + entry.value.size();
    const auto text = [&seen](std::optional<std::string_view> value) {
        if (value)
            ensures(value->find_first_of(std::string_view{"\0\r\n", 3}) == value->npos);
        seen += value.value_or("").size();
    };
    text(tlvs.authority());
    text(tlvs.netns());
    text(tlvs.aws_vpc_endpoint_id());
    seen += tlvs.alpn().has_value() + tlvs.unique_id().has_value() + tlvs.crc32c().has_value() +
            tlvs.azure_link_id().has_value() + tlvs.gcp_psc_connection_id().has_value();
    if (const auto ssl = tlvs.ssl()) {
        ensures(ssl->tlvs().well_formed(), "accepted sub-entries fill their room");
        text(ssl->version());
        text(ssl->cn());
        text(ssl->cipher());
        text(ssl->sig_alg());
        text(ssl->key_alg());
        text(ssl->group());
        text(ssl->sig_scheme());
        seen += ssl->client_cert().has_value() + ssl->verified_client_certificate();
    }
    ensures(seen < (1u << 30));
}

/// Writes the header again, as far as a sender may, and reads that.
void check_written_again(const header_view& header)
{
    std::vector<tlv> entries;
    for (const auto entry : header.tlvs()) {
        const bool sendable = entry.type != tlv_type::crc32c && entry.type != tlv_type::noop &&
                              static_cast<u8>(entry.type) < 0xf8;
        if (sendable)
            entries.push_back(entry);
    }
    const auto again = encode(header.source(), header.destination(),
                              {.version = header.version(),
                               .command = header.command(),
                               .transport = header.transport(),
                               .tlvs = entries,
                               .allow_experimental = true});
    ensures(again.has_value(), "what was accepted can be sent");
    const auto found = parse(*again, {.header_size_max = 65535});
    ensures(found.status == parse_status::complete, "what was sent is accepted");
    ensures(found.header.source() == header.source());
    ensures(found.header.destination() == header.destination());
    ensures(found.header.command() == header.command());
    ensures(found.header.transport() == header.transport());
    std::size_t count = 0;
    for (const auto entry : found.header.tlvs()) {
        ensures(entry.type == entries[count].type);
        ensures(same(entry.value, entries[count++].value));
    }
    ensures(count == entries.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, std::size_t size)
{
    if (size == 0)
        return 0;
    const auto options = options_of(data[0]);
    const const_bytes bytes{reinterpret_cast<const std::byte*>(data + 1), size - 1};
    const auto found = parse(bytes, options);
    ensures(found.position <= bytes.size());
    ensures((found.status == parse_status::incomplete) == (found.missing > 0));
    ensures((found.status == parse_status::complete) == (found.reason == parse_reason::none));
    if (found.status != parse_status::complete)
        return 0;

    const auto& header = found.header;
    ensures(header.size() <= bytes.size(), "a header ends within the bytes");
    const auto exact = parse(bytes.first(header.size()), options);
    ensures(exact.status == parse_status::complete && same(exact.header, header));
    const auto prefix_status = options.profile == parse_profile::datagram
                                   ? parse_status::malformed
                                   : parse_status::incomplete;
    const auto step = header.size() > 600 ? header.size() / 100 : 1;
    for (std::size_t shorter = 0; shorter < header.size(); shorter += step)
        ensures(parse(bytes.first(shorter), options).status == prefix_status);
    const proxy_protocol::header kept{header};
    ensures(same(kept.view(), header));
    touch_accessors(header.tlvs());
    check_written_again(header);
    return 0;
}

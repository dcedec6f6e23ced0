#include <whence/proxy_protocol/parse.hpp>

#include "proxy_protocol/wire.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace whence;
using namespace whence::proxy_protocol;
using namespace std::string_literals;

namespace {

const std::string signature = "0d0a0d0a000d0a515549540a";
const std::string tcp4_block = "c0000201c6336402dc0401bb";
const std::string line = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";

/// "complete", "incomplete 3" (bytes missing), or "reason @ position".
std::string outcome(const parse_result& found)
{
    if (found.status == parse_status::complete)
        return "complete";
    if (found.status == parse_status::incomplete)
        return "incomplete " + std::to_string(found.missing);
    return std::string{to_string(found.reason)} + " @ " + std::to_string(found.position);
}

std::string text_outcome(std::string_view text, const parse_options& options = {})
{
    const wire bytes{text};
    return outcome(parse(bytes, options));
}

std::string hex_outcome(const std::string& hex, const parse_options& options = {})
{
    const auto bytes = from_hex(hex);
    return outcome(parse(bytes, options));
}

/// A version 2 header of TCP over IPv4 with the given entries behind its addresses.
std::string v2_hex(const std::string& entries)
{
    const std::array<std::byte, 2> length{
        std::byte{0}, static_cast<std::byte>((tcp4_block.size() + entries.size()) / 2)};
    return signature + "2111" + hex_text(length) + tcp4_block + entries;
}

struct row {
    std::string input, expected;
};

}  // namespace

TEST_CASE("the first bytes decide what it is", "[proxy_protocol]")  // rules 1, 5, 10, 18
{
    for (const auto& [input, expected] : {
             row{"", "incomplete 15"},
             row{"P", "incomplete 14"},
             row{"PROXY", "incomplete 10"},
             row{"\r", "incomplete 15"},
             row{"\r\n\r\n"s, "incomplete 12"},
             row{"\r\n\r\n\0\r\nQUIT"s, "incomplete 5"},
             row{"\r\n\r\n\0\r\nQUIT\n"s, "incomplete 4"},
             row{"POST / HTTP/1.1\r\n", "no_signature @ 1"},
             row{"PRI * HTTP/2.0\r\n", "no_signature @ 2"},
             row{"PROPFIND / HTTP/1.1\r\n", "no_signature @ 3"},
             row{"proxy TCP4", "no_signature @ 0"},
             row{"\r\n\r\nGET /", "no_signature @ 4"},
             row{"\r\n\r\n\0\r\nQUIT\r"s, "no_signature @ 11"},
             row{"\x16\x03\x01", "no_signature @ 0"},
         })
    {
        CAPTURE(input);
        CHECK(text_outcome(input) == expected);
    }
}

TEST_CASE("the payload is not touched, whatever it looks like", "[proxy_protocol]")  // rule 6
{
    for (const auto& header : {line, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"s})
        for (const auto& payload : {line, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"s, "\0"s, "\r\n"s}) {
            const wire bytes{header + payload};
            const auto found = parse(bytes);
            CHECK(found.status == parse_status::complete);
            CHECK(found.header.size() == header.size());
        }
}

TEST_CASE("a v1 line ends with CRLF within 107 bytes", "[proxy_protocol]")  // rules 8, 9
{
    const auto unknown = [](std::size_t size) {
        return "PROXY UNKNOWN " + std::string(size - 14, 'x');
    };
    const auto tcp4 = [](std::size_t size) { return "PROXY TCP4 " + std::string(size - 11, '1'); };
    for (const auto& [input, expected] : {
             row{unknown(105) + "\r\n", "complete"},
             row{unknown(106) + "\r\n", "v1_too_long @ 107"},
             row{unknown(106), "incomplete 2"},
             row{unknown(105) + "\r", "incomplete 1"},
             row{unknown(106) + "\r", "v1_too_long @ 107"},
             row{tcp4(106), "incomplete 2"},
             row{tcp4(107), "v1_too_long @ 107"},
             row{tcp4(106) + "\r\n", "v1_too_long @ 107"},
             row{tcp4(105) + "\rx", "v1_bare_cr @ 105"},
             row{"PROXY TCP4 192.0.2.1\r", "incomplete 1"},
             row{"PROXY TCP4 192.0.2.1\r ", "v1_bare_cr @ 20"},
             row{"PROXY TCP4 192.0.2.1\n", "v1_bare_lf @ 20"},
             row{"PROXY TCP4 192.0.2.1\rx\r\n", "v1_bare_cr @ 20"},
             row{"PROXY TCP4 192.0.2.1\r\r\n", "v1_bare_cr @ 20"},
             row{"PROXY TCP4 192.0.2.1\rx\n", "v1_bare_cr @ 20"},
             row{"PROXY TCP4 \n", "v1_bare_lf @ 11"},
             row{"PROXY UNKNOWN\rx", "v1_bare_cr @ 13"},
             row{"PROXY UNKNOWN a\rb\nc\r\n", "complete"},
         })
    {
        CAPTURE(input);
        CHECK(text_outcome(input) == expected);
    }
}

TEST_CASE("v1 addresses are decoded only when the line is whole", "[proxy_protocol]")  // rule 9
{
    CHECK(text_outcome("PROXY TCP4 999.0.0.1 x y z w") == "incomplete 2");
    CHECK(text_outcome("PROXY TCP4 999.0.0.1 1.1.1.1 1 2\r\n") == "v1_ipv4 @ 11");
}

TEST_CASE("v1 has six fields and single spaces", "[proxy_protocol]")  // rule 10
{
    for (const auto& [input, expected] : {
             row{"PROXY", "incomplete 10"},
             row{"PROXY\t", "v1_space @ 5"},
             row{"PROXYTCP4", "v1_space @ 5"},
             row{"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "v1_fields @ 11"},
             row{"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", "v1_fields @ 11"},
             row{"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", "v1_fields @ 11"},
             row{"PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n", "v1_fields @ 11"},
             row{"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n", "v1_fields @ 11"},
             row{"PROXY TCP4 1.1.1.1\t2.2.2.2 1 2\r\n", "v1_fields @ 11"},
             row{"PROXY TCP4 \r\n", "v1_fields @ 11"},
         })
    {
        CAPTURE(input);
        CHECK(text_outcome(input) == expected);
    }
}

TEST_CASE("the v1 protocol is TCP4, TCP6 or UNKNOWN, decided letter by letter",
          "[proxy_protocol]")  // rules 11, 12
{
    for (const auto& [input, expected] : {
             row{"PROXY ", "incomplete 9"},
             row{"PROXY T", "incomplete 8"},
             row{"PROXY TCP4", "incomplete 5"},
             row{"PROXY UNKNOWN", "incomplete 2"},
             row{"PROXY UNKNOWN\r", "incomplete 1"},
             row{"PROXY UNKNOWN\r\n", "complete"},
             row{"PROXY UNKNOWN \x01\xff ::::\r\n", "complete"},
             row{"PROXY t", "v1_protocol @ 6"},
             row{"PROXY TCP5", "v1_protocol @ 6"},
             row{"PROXY TCP4\r\n", "v1_protocol @ 6"},
             row{"PROXY UDP4", "v1_protocol @ 6"},
             row{"PROXY UNKNOWNX", "v1_protocol @ 6"},
             row{"PROXY UNKNOWN\n", "v1_protocol @ 6"},
         })
    {
        CAPTURE(input);
        CHECK(text_outcome(input) == expected);
    }
}

TEST_CASE("v1 addresses belong to the announced family", "[proxy_protocol]")  // rules 13, 14, 15
{
    for (const auto& [input, expected] : {
             row{"TCP4 1.2.3.4 5.6.7.8", "complete"},
             row{"TCP4 1.2.3.04 5.6.7.8", "v1_ipv4_leading_zero @ 11"},
             row{"TCP4 1.2.3.4 00.6.7.8", "v1_ipv4_leading_zero @ 19"},
             row{"TCP4 1.2.3 5.6.7.8", "v1_ipv4 @ 11"},
             row{"TCP4 1.2.3.4 5.6.7.8.9", "v1_ipv4 @ 19"},
             row{"TCP4 1.2.3.4 5.6.7.256", "v1_ipv4 @ 19"},
             row{"TCP4 1.2.3.4 ::1", "v1_ipv4 @ 19"},
             row{"TCP4 localhost 5.6.7.8", "v1_ipv4 @ 11"},
             row{"TCP6 ::1 ::ffff:1.2.3.4", "complete"},
             row{"TCP6 2001:DB8::1 ::", "complete"},
             row{"TCP6 fe80::1%1 ::1", "v1_ipv6 @ 11"},
             row{"TCP6 [::1] ::1", "v1_ipv6 @ 11"},
             row{"TCP6 ::1 1.2.3.4", "v1_ipv6 @ 15"},
             row{"TCP6 ::1 12345::", "v1_ipv6 @ 15"},
             row{"TCP6 1::2::3 ::1", "v1_ipv6 @ 11"},
         })
    {
        CAPTURE(input);
        CHECK(text_outcome("PROXY " + input + " 1 2\r\n") == expected);
    }
}

TEST_CASE("v1 ports are plain decimal numbers up to 65535", "[proxy_protocol]")  // rule 16
{
    for (const auto& [input, expected] : {
             row{"0 65535", "complete"},
             row{"65536 1", "v1_port_range @ 27"},
             row{"1 99999", "v1_port_range @ 29"},
             row{"1 4294967297", "v1_port_range @ 29"},
             row{"00 1", "v1_port_leading_zero @ 27"},
             row{"1 0443", "v1_port_leading_zero @ 29"},
             row{"-1 1", "v1_port @ 27"},
             row{"+1 1", "v1_port @ 27"},
             row{"0x1 1", "v1_port @ 27"},
             row{" 1", "v1_port @ 27"},
             row{"1 ", "v1_port @ 29"},
             row{"1 2x", "v1_port @ 29"},
             row{"1 2\0"s, "v1_port @ 29"},
         })
    {
        CAPTURE(input);
        CHECK(text_outcome("PROXY TCP4 1.2.3.4 5.6.7.8 " + input + "\r\n") == expected);
    }
}

TEST_CASE("v2 has version 2 and command 0 or 1", "[proxy_protocol]")  // rules 19, 20
{
    for (unsigned value = 0; value < 256; ++value) {
        const std::array<std::byte, 1> byte{static_cast<std::byte>(value)};
        const auto expected = value == 0x20 || value == 0x21 ? "incomplete 3"
                              : value >> 4 == 2              ? "v2_command @ 12"
                                                             : "v2_version @ 12";
        CHECK(hex_outcome(signature + hex_text(byte)) == expected);
    }
}

TEST_CASE("v2 PROXY has a known family and transport", "[proxy_protocol]")  // rules 21, 22, 25
{
    for (unsigned value = 0; value < 256; ++value) {
        const std::array<std::byte, 1> byte{static_cast<std::byte>(value)};
        const auto expected = value >> 4 > 3     ? "v2_family @ 13"
                              : (value & 15) > 2 ? "v2_transport @ 13"
                                                 : "incomplete 2";
        CHECK(hex_outcome(signature + "21" + hex_text(byte)) == expected);
        CHECK(hex_outcome(signature + "20" + hex_text(byte)) == "incomplete 2");
    }
}

TEST_CASE("LOCAL discards its block and its family, whatever they are",
          "[proxy_protocol]")  // rule 23
{
    for (const auto* rest : {"000000", "110000", "11000c", "210004", "ff0003", "1f0010"}) {
        const auto length = std::stoul(std::string{rest}.substr(2), nullptr, 16);
        const auto bytes = from_hex(signature + "20" + rest + std::string(2 * length, 'f'));
        const auto found = parse(bytes);
        REQUIRE(found.status == parse_status::complete);
        CHECK(describe(found.header) ==
              "v2 LOCAL UNSPEC UNSPEC - - size " + std::to_string(16 + length));
        CHECK_FALSE(found.header.has_addresses());
    }
    // Not even a wrong checksum counts, also when checksums are demanded.
    const auto bad_sum = signature + "20000007" + "03000401020304";
    CHECK(hex_outcome(bad_sum) == "complete");
    CHECK(hex_outcome(bad_sum, {.require_crc32c = true}) == "complete");
}

TEST_CASE("PROXY without usable addresses is accepted unless told not to",
          "[proxy_protocol]")  // rules 12, 24, 25, 28
{
    for (const auto* family_byte : {"00", "01", "02", "10", "20", "30"}) {
        const auto header = signature + "21" + family_byte + "0002ffff";
        CHECK(hex_outcome(header) == "complete");
        CHECK(hex_outcome(header, {.accept_unspec = false}) == "unspec_not_allowed @ 13");
        CHECK(hex_outcome(signature + "21" + family_byte, {.accept_unspec = false}) ==
              "unspec_not_allowed @ 13");
    }
    CHECK(text_outcome("PROXY UNKNOWN\r\n", {.accept_unspec = false}) == "unspec_not_allowed @ 6");
    CHECK(hex_outcome(signature + "20000000", {.accept_unspec = false}) == "complete");
}

TEST_CASE("the length covers the family's addresses, and is believed before they arrive",
          "[proxy_protocol]")  // rule 26
{
    for (const auto& [input, expected] : {
             row{"2111000c", "incomplete 12"},
             row{"2111000b", "v2_short_address_block @ 14"},
             row{"21210024", "incomplete 36"},
             row{"21210023", "v2_short_address_block @ 14"},
             row{"213100d8", "incomplete 216"},
             row{"213200d7", "v2_short_address_block @ 14"},
             row{"21000000", "complete"},
             row{"21100000", "complete"},
         })
    {
        CAPTURE(input);
        CHECK(hex_outcome(signature + input) == expected);
    }
}

TEST_CASE("the size cap acts on byte 16", "[proxy_protocol]")  // rule 41
{
    CHECK(hex_outcome(signature + "21111000") == "incomplete 4096");
    CHECK(hex_outcome(signature + "21111001") == "too_large @ 14");
    CHECK(hex_outcome(signature + "20001001") == "too_large @ 14");
    CHECK(hex_outcome(signature + "2111ffff", {.header_size_max = 65535}) == "incomplete 65535");
    CHECK(hex_outcome(signature + "2111000d", {.header_size_max = 12}) == "too_large @ 14");
    CHECK(hex_outcome(signature + "211110") == "incomplete 1");
}

TEST_CASE("v2 rejects a TLV that runs past the header", "[proxy_protocol]")  // rule 29
{
    for (const auto& [input, expected] : {
             row{"", "complete"},
             row{"e10000", "complete"},
             row{"e10000e20000", "complete"},
             row{"00", "tlv_truncated_header @ 28"},
             row{"0000", "tlv_truncated_header @ 28"},
             row{"e10000e2", "tlv_truncated_header @ 31"},
             row{"e10001", "tlv_overrun @ 28"},
             row{"e1000161e2000261", "tlv_overrun @ 32"},
             row{"e1ffff", "tlv_overrun @ 28"},
         })
    {
        CAPTURE(input);
        CHECK(hex_outcome(v2_hex(input)) == expected);
    }
    // An entry may not reach into the payload either.
    CHECK(hex_outcome(v2_hex("e10001") + "61") == "tlv_overrun @ 28");
}

TEST_CASE("a checksum that is there must be right", "[proxy_protocol]")  // rules 31, 32
{
    const std::string good = "03000420ec9549";
    const std::string bad = "03000420ec9548";
    for (const auto& [input, expected] : {
             row{good, "complete"},
             row{bad, "crc_mismatch @ 28"},
             row{"03000320ec95", "crc_length @ 28"},
             row{"030000", "crc_length @ 28"},
             row{"e10000" + bad, "crc_mismatch @ 31"},
             row{good + good, "crc_duplicate @ 35"},
         })
    {
        CAPTURE(input);
        CHECK(hex_outcome(v2_hex(input)) == expected);
    }
    CHECK(hex_outcome(v2_hex(bad), {.verify_crc32c = false}) == "complete");
    CHECK(hex_outcome(v2_hex(bad), {.verify_crc32c = false, .require_crc32c = true}) ==
          "crc_mismatch @ 28");
}

TEST_CASE("a policy can demand the checksum", "[proxy_protocol]")  // rule 31
{
    const parse_options demanding{.require_crc32c = true};
    CHECK(hex_outcome(v2_hex("03000420ec9549"), demanding) == "complete");
    CHECK(hex_outcome(v2_hex(""), demanding) == "crc_missing @ 0");
    CHECK(text_outcome(line, demanding) == "crc_missing @ 0");
    // Nothing is claimed, so nothing needs protection.
    CHECK(text_outcome("PROXY UNKNOWN\r\n", demanding) == "complete");
    CHECK(hex_outcome(signature + "21000000", demanding) == "complete");
}

TEST_CASE("a unique id has at most 128 bytes", "[proxy_protocol]")  // rule 34
{
    CHECK(hex_outcome(v2_hex("050080" + std::string(256, '7'))) == "complete");
    CHECK(hex_outcome(v2_hex("050081" + std::string(258, '7'))) == "unique_id_too_long @ 28");
}

TEST_CASE("an SSL entry holds its fields and whole sub-entries", "[proxy_protocol]")  // rule 35
{
    for (const auto& [input, expected] : {
             row{"2000050000000001", "complete"},
             row{"20000400000000", "ssl_tlv_short @ 28"},
             row{"200000", "ssl_tlv_short @ 28"},
             row{"200008"
                 "0100000001"
                 "210000",
                 "complete"},
             row{"200006"
                 "0100000001"
                 "21",
                 "tlv_truncated_header @ 36"},
             row{"200009"
                 "0100000001"
                 "21000261",
                 "tlv_overrun @ 36"},
             row{"200008"
                 "0100000001"
                 "210001"
                 "e10000",
                 "tlv_overrun @ 36"},
             // Known sub-types are not looked into, and an SSL entry within is only bytes.
             row{"20000b"
                 "0100000001"
                 "200003"
                 "aaaaaa",
                 "complete"},
             row{"200008"
                 "0100000001"
                 "030000",
                 "complete"},
         })
    {
        CAPTURE(input);
        CHECK(hex_outcome(v2_hex(input)) == expected);
    }
}

TEST_CASE("a datagram is whole or wrong", "[proxy_protocol]")  // rules 44, 45
{
    const parse_options datagram{.profile = parse_profile::datagram};
    const auto whole = signature + "2112000c" + tcp4_block;
    CHECK(hex_outcome(whole, datagram) == "complete");
    CHECK(hex_outcome(v2_hex(""), datagram) == "complete");
    CHECK(hex_outcome("", datagram) == "empty @ 0");
    for (std::size_t size = 1; size < whole.size() / 2; ++size)
        CHECK(hex_outcome(whole.substr(0, 2 * size), datagram) ==
              "truncated_datagram @ " + std::to_string(size));
    CHECK(text_outcome(line, datagram) == "v1_in_datagram @ 0");
    auto tolerant = datagram;
    tolerant.allow_v1_in_datagram = true;
    CHECK(text_outcome(line, tolerant) == "complete");
    CHECK(text_outcome(line.substr(0, 20), tolerant) == "truncated_datagram @ 20");
}

TEST_CASE("either version can be turned off", "[proxy_protocol]")  // rule 2
{
    CHECK(text_outcome(line, {.allow_v1 = false}) == "v1_not_allowed @ 0");
    CHECK(hex_outcome(v2_hex(""), {.allow_v1 = false}) == "complete");
    CHECK(hex_outcome(v2_hex(""), {.allow_v2 = false}) == "v2_not_allowed @ 0");
    CHECK(text_outcome(line, {.allow_v2 = false}) == "complete");
}

TEST_CASE("IPv4 text in a TCP6 line is accepted only when asked for",
          "[proxy_protocol]")  // rule 15
{
    const parse_options tolerant{.accept_ipv4_in_tcp6 = true};
    const wire bytes{"PROXY TCP6 192.0.2.1 2001:db8::2 1 2\r\n"};
    CHECK(outcome(parse(bytes)) == "v1_ipv6 @ 11");
    const auto found = parse(bytes, tolerant);
    REQUIRE(found.status == parse_status::complete);
    CHECK(describe(found.header) ==
          "v1 PROXY INET6 STREAM [::ffff:192.0.2.1]:1 [2001:db8::2]:2 size 38");
    CHECK(to_string(found.header.source()) == "192.0.2.1:1");
    CHECK(text_outcome("PROXY TCP6 192.0.2.01 ::1 1 2\r\n", tolerant) == "v1_ipv6 @ 11");
}

TEST_CASE("statuses and reasons have names", "[proxy_protocol]")
{
    CHECK(to_string(parse_status::complete) == "complete");
    CHECK(to_string(parse_status::not_proxy) == "not_proxy");
    CHECK(to_string(parse_reason::none) == "none");
    CHECK(to_string(parse_reason::v1_port_range) == "v1_port_range");
    CHECK(to_string(parse_reason::crc_missing) == "crc_missing");
    STATIC_REQUIRE(std::is_trivially_destructible_v<parse_options>);
    STATIC_REQUIRE(std::is_trivially_copyable_v<parse_result>);
}

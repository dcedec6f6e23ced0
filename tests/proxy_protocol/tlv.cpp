#include <whence/proxy_protocol/tlv.hpp>

#include "proxy_protocol/wire.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace whence;
using namespace whence::proxy_protocol;
using namespace std::string_view_literals;

namespace {

std::string iterated(const std::string& hex)
{
    const auto bytes = from_hex(hex);
    std::string text;
    for (const auto entry : tlv_range{bytes})
        text.append(tlv_name(entry.type)).append("=").append(hex_text(entry.value)).append(" ");
    return text;
}

/// One entry of a type with a text for its value.
class one_entry {
public:
    one_entry(u8 type, std::string_view value)
        : bytes_(std::string{static_cast<char>(type), static_cast<char>(value.size() >> 8),
                             static_cast<char>(value.size())}
                     .append(value))
    {}
    tlv_range range() const { return tlv_range{bytes_}; }

private:
    wire bytes_;
};

}  // namespace

TEST_CASE("entries are seen in wire order, duplicates included", "[proxy_protocol]")  // rule 43
{
    CHECK(iterated("") == "");
    CHECK(iterated("e1000161e1000162e10000") == "custom=61 custom=62 custom= ");
    CHECK(iterated("0100026832"
                   "0200016103000400000000") == "alpn=6832 authority=61 crc32c=00000000 ");
    const auto bytes = from_hex("e1000161e1000162");
    const tlv_range range{bytes};
    CHECK(hex_text(*range.find(static_cast<tlv_type>(0xe1))) == "61");
    CHECK_FALSE(range.find(tlv_type::alpn));
    CHECK(range.well_formed());
    CHECK_FALSE(range.empty());
    CHECK(tlv_range{}.empty());
    STATIC_REQUIRE(std::forward_iterator<tlv_range::iterator>);
}

TEST_CASE("what does not fit ends the entries", "[proxy_protocol]")
{
    for (const auto* hex : {"e1000161e2", "e1000161e200", "e1000161e20001", "e1000161e2ffff00"}) {
        CHECK(iterated(hex) == "custom=61 ");
        const auto bytes = from_hex(hex);
        CHECK_FALSE(tlv_range{bytes}.well_formed());
    }
}

TEST_CASE("types have names", "[proxy_protocol]")  // rules 30, 40
{
    struct row {
        u8 type;
        std::string_view name;
    };
    for (const auto& [type, name] : {
             row{0x00, "unknown"},        row{0x01, "alpn"},
             row{0x02, "authority"},      row{0x03, "crc32c"},
             row{0x04, "noop"},           row{0x05, "unique_id"},
             row{0x06, "unknown"},        row{0x20, "ssl"},
             row{0x21, "ssl_version"},    row{0x22, "ssl_cn"},
             row{0x23, "ssl_cipher"},     row{0x24, "ssl_sig_alg"},
             row{0x25, "ssl_key_alg"},    row{0x26, "ssl_group"},
             row{0x27, "ssl_sig_scheme"}, row{0x28, "ssl_client_cert"},
             row{0x29, "unknown"},        row{0x30, "netns"},
             row{0xdf, "unknown"},        row{0xe0, "gcp"},
             row{0xe1, "custom"},         row{0xea, "aws"},
             row{0xee, "azure"},          row{0xef, "custom"},
             row{0xf0, "experimental"},   row{0xf7, "experimental"},
             row{0xf8, "future"},         row{0xff, "future"},
         })
        CHECK(tlv_name(static_cast<tlv_type>(type)) == name);
}

TEST_CASE("text accessors refuse what could forge text, and the bytes stay",
          "[proxy_protocol]")  // rule 37
{
    for (const auto good : {"example.com"sv, ""sv,
                            "b\xc3\xbc"
                            "cher.example"sv})
        CHECK(one_entry(0x02, good).range().authority() == good);
    for (const auto bad : {"a\0b"sv, "a\r"sv, "a\nb"sv, "\xff\xfe"sv, "\xc0\xaf"sv}) {
        const one_entry entry{0x02, bad};
        CHECK_FALSE(entry.range().authority());
        CHECK(as_text(*entry.range().find(tlv_type::authority)) == bad);
    }
    CHECK_FALSE(tlv_range{}.authority());
    CHECK(one_entry(0x30, "blue").range().netns() == "blue");  // rule 39
    CHECK_FALSE(one_entry(0x30, "bl\xc3\xbc").range().netns());
}

TEST_CASE("opaque entries come as bytes", "[proxy_protocol]")  // rules 34, 38
{
    CHECK(as_text(*one_entry(0x01, "h2\0\xff"sv).range().alpn()) == "h2\0\xff"sv);
    CHECK(as_text(*one_entry(0x05, "\0\1"sv).range().unique_id()) == "\0\1"sv);
    CHECK(one_entry(0x05, std::string(128, 'u')).range().unique_id()->size() == 128);
    CHECK_FALSE(one_entry(0x05, std::string(129, 'u')).range().unique_id());
    CHECK(one_entry(0x03, "\x12\x34\x56\x78").range().crc32c() == 0x12345678);
    CHECK_FALSE(one_entry(0x03, "123").range().crc32c());
}

TEST_CASE("the clouds' own entries are decoded", "[proxy_protocol]")  // rule 40
{
    CHECK(one_entry(0xea, "\1vpce-0123").range().aws_vpc_endpoint_id() == "vpce-0123");
    CHECK_FALSE(one_entry(0xea, "\2vpce-0123").range().aws_vpc_endpoint_id());
    CHECK_FALSE(one_entry(0xea, "").range().aws_vpc_endpoint_id());
    CHECK_FALSE(one_entry(0xea, "\1vpce\n").range().aws_vpc_endpoint_id());
    CHECK(one_entry(0xee, "\1\x78\x56\x34\x12").range().azure_link_id() == 0x12345678);
    CHECK_FALSE(one_entry(0xee, "\1\x78\x56\x34").range().azure_link_id());
    CHECK_FALSE(one_entry(0xee, "\2\x78\x56\x34\x12").range().azure_link_id());
    CHECK(one_entry(0xe0, "\x01\x02\x03\x04\x05\x06\x07\x08").range().gcp_psc_connection_id() ==
          0x0102030405060708);
    CHECK_FALSE(one_entry(0xe0, "1234567").range().gcp_psc_connection_id());
    // Another subtype in front does not hide the one that is asked for.
    const auto bytes = from_hex("ea00020278"
                                "ea00020179");
    CHECK(tlv_range{bytes}.aws_vpc_endpoint_id() == "y");
}

TEST_CASE("the SSL entry is decoded with all of its sub-entries", "[proxy_protocol]")  // rule 36
{
    const auto bytes = from_hex("200038"
                                "0700000000"
                                "21000754"
                                "4c5376312e33"
                                "22000163"
                                "23000144"
                                "24000145"
                                "25000146"
                                "26000147"
                                "27000148"
                                "2800023000"
                                "7f0001ff"
                                "220001"
                                "7a"
                                "21000100");
    const auto ssl = tlv_range{bytes}.ssl();
    REQUIRE(ssl);
    CHECK(ssl->client() == 7);
    CHECK(ssl->verify() == 0);
    CHECK(ssl->over_tls());
    CHECK(ssl->version() == "TLSv1.3");
    CHECK(ssl->cn() == "c");
    CHECK(ssl->cipher() == "D");
    CHECK(ssl->sig_alg() == "E");
    CHECK(ssl->key_alg() == "F");
    CHECK(ssl->group() == "G");
    CHECK(ssl->sig_scheme() == "H");
    CHECK(hex_text(*ssl->client_cert()) == "3000");
    CHECK_FALSE(one_entry(0x20, "1234").range().ssl());
    CHECK_FALSE(tlv_range{}.ssl());
}

TEST_CASE("a sub-entry's text is refused like any other", "[proxy_protocol]")  // rule 36
{
    const auto bytes = from_hex("200013"
                                "0300000000"
                                "220006"
                                "676f6f640065"
                                "210001ff"
                                "000000");
    const tlv_range range{const_bytes{bytes}.first(3 + 0x13 - 1)};
    CHECK_FALSE(range.ssl());
    const ssl_tlv ssl{const_bytes{bytes}.subspan(3, 5 + 9 + 4)};
    CHECK_FALSE(ssl.cn());
    CHECK_FALSE(ssl.version());
    CHECK(hex_text(*ssl.tlvs().find(tlv_type::ssl_cn)) == "676f6f640065");
}

TEST_CASE("a client certificate counts only when given and verified",
          "[proxy_protocol]")  // rule 35
{
    struct row {
        std::string hex;
        bool verified;
    };
    for (const auto& [hex, verified] : {
             row{"0100000000", false},  // HAProxy without a certificate: verify is 0 all the same
             row{"0000000000", false},
             row{"0300000000", true},
             row{"0500000000", true},
             row{"0700000000", true},
             row{"f900000000", false},
             row{"0300000012", false},
             row{"0700000001", false},
             row{"0100000001", false},
         })
    {
        const auto bytes = from_hex(hex);
        CHECK(ssl_tlv{bytes}.verified_client_certificate() == verified);
    }
}

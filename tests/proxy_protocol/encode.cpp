#include <whence/proxy_protocol/encode.hpp>

#include "proxy_protocol/wire.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <fstream>

using namespace whence;
using namespace whence::proxy_protocol;
using nlohmann::json;

namespace {

/// What a vector's "input" says, with the storage that the options point into.
class vector_input {
public:
    explicit vector_input(const json& input)
    {
        source = end_of(input, "source", "192.0.2.1:56324");
        destination = end_of(input, "destination", "198.51.100.2:443");
        options.version = input.at("version").get<u8>();
        if (input.value("transport", "STREAM") == "DGRAM")
            options.transport = transport::dgram;
        options.crc32c = input.value("crc32c", false);
        options.pad_to = input.value("pad_to", 0u);
        options.align = input.value("align", 0u);
        for (const auto& entry : input.value("tlvs", json::array())) {
            const auto value = entry.contains("len")
                                   ? std::vector<std::byte>(entry.at("len").get<std::size_t>())
                                   : *parse_hex(entry.at("hex").get<std::string>());
            values_.push_back(value);
        }
        for (const auto& value : values_)
            tlvs_.push_back({input["tlvs"][tlvs_.size()]["type"].get<tlv_type>(), value});
        options.tlvs = tlvs_;
        if (input.contains("ssl"))
            read_ssl(input.at("ssl"));
    }
    vector_input(const vector_input&) = delete;

    endpoint source, destination;
    encode_options options;

private:
    static endpoint end_of(const json& input, const char* key, const char* fallback)
    {
        if (!input.contains(key))
            return *endpoint::parse(fallback);
        if (input.at(key).is_object())
            return endpoint::unix_path(input.at(key).at("unix").get<std::string>());
        return *endpoint::parse(input.at(key).get<std::string>());
    }
    void read_ssl(const json& ssl)
    {
        version_ = ssl.at("version").get<std::string>();
        cipher_ = ssl.value("cipher", "");
        ssl_.version = version_;
        ssl_.cipher = cipher_;
        if (const auto& cert = ssl.at("client_cert"); !cert.is_null()) {
            cn_ = cert.at("cn").get<std::string>();
            ssl_.client_cert =
                ssl_fields::certificate{.cn = cn_,
                                        .verify = cert.at("verified").get<bool>() ? 0u : 1u,
                                        .this_connection = cert.at("this_connection").get<bool>()};
        }
        options.ssl = &ssl_;
    }

    std::vector<std::vector<std::byte>> values_;
    std::vector<tlv> tlvs_;
    std::string version_, cipher_, cn_;
    ssl_fields ssl_;
};

json load(const char* list)
{
    std::ifstream file{WHENCE_TEST_DATA "/proxy_protocol.json"};
    return json::parse(file).at(list);
}

const endpoint client = *endpoint::parse("192.0.2.1:56324");
const endpoint server = *endpoint::parse("198.51.100.2:443");

std::string encoded(const endpoint& source, const endpoint& destination,
                    const encode_options& options = {})
{
    const auto bytes = encode(source, destination, options);
    return bytes ? hex_text(*bytes) : std::string{to_string(bytes.error())};
}

std::string encoded_line(std::string_view source, std::string_view destination)
{
    const auto bytes =
        encode(*endpoint::parse(source), *endpoint::parse(destination), {.version = 1});
    return bytes ? std::string{as_text(*bytes)} : std::string{to_string(bytes.error())};
}

const std::string v2_tcp4 = "0d0a0d0a000d0a515549540a2111000cc0000201c6336402dc0401bb";

}  // namespace

TEST_CASE("every encode vector is reproduced byte by byte", "[proxy_protocol]")
{
    const auto vectors = load("encode_vectors");
    REQUIRE(vectors.size() == 14);
    for (const auto& vector : vectors) {
        CAPTURE(vector.at("name").get<std::string>());
        const vector_input input{vector.at("input")};
        CHECK(encoded(input.source, input.destination, input.options) ==
              vector.at("hex").get<std::string>());
    }
}

TEST_CASE("every encode error vector is refused with its reason", "[proxy_protocol]")
{
    const std::map<std::string, std::string> reasons{
        {"encerr_total_over_65535", "too_large"},
        {"encerr_future_type_f8", "tlv_future"},
        {"encerr_raw_crc_tlv_given_by_caller", "tlv_reserved"},
        {"encerr_v1_with_tlvs", "v1_no_tlvs"},
        {"encerr_v1_datagram", "v1_datagram"},
    };
    std::size_t seen = 0;
    for (const auto& vector : load("encode_error_vectors")) {
        const auto name = vector.at("name").get<std::string>();
        if (name == "encerr_header_after_payload")
            continue;  // a connection knows what it has sent; these functions do not
        CAPTURE(name);
        const vector_input input{vector.at("input")};
        CHECK(encoded(input.source, input.destination, input.options) == reasons.at(name));
        ++seen;
    }
    CHECK(seen == reasons.size());
}

TEST_CASE("v1 writes the exact line, and UNKNOWN only when it cannot be filled", "[proxy_protocol]")
{
    struct row {
        std::string_view source, destination, line;
    };
    for (const auto& [source, destination, line] : {
             row{"192.0.2.1:0", "198.51.100.2:65535",
                 "PROXY TCP4 192.0.2.1 198.51.100.2 0 65535\r\n"},
             row{"[2001:DB8:0:0::1]:1", "[fe80::1%3]:2", "PROXY TCP6 2001:db8::1 fe80::1 1 2\r\n"},
             row{"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                 "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"},
             row{"unix:/a", "unix:/b", "PROXY UNKNOWN\r\n"},
             row{"unix:", "10.0.0.1:1", "PROXY UNKNOWN\r\n"},
             row{"-", "10.0.0.1:1", "PROXY UNKNOWN\r\n"},
             row{"10.0.0.1:1", "-", "PROXY UNKNOWN\r\n"},
         })
        CHECK(encoded_line(source, destination) == line);
}

TEST_CASE("mixed families become mapped IPv6, and two mapped ones IPv4", "[proxy_protocol]")
{
    const auto v6 = *endpoint::parse("[2001:db8::2]:443");
    CHECK(encoded(v6, client) == "0d0a0d0a000d0a515549540a2121002420010db80000000000000000000000"
                                 "0200000000000000000000ffffc000020101bbdc04");
    CHECK(encoded(*endpoint::parse("[::ffff:192.0.2.1]:56324"),
                  *endpoint::parse("[::ffff:198.51.100.2]:443")) == v2_tcp4);
    CHECK(encoded_line("[2001:db8::2]:443", "192.0.2.1:1") ==
          "PROXY TCP6 2001:db8::2 ::ffff:192.0.2.1 443 1\r\n");
}

TEST_CASE("v2 says UNSPEC when the addresses cannot be said", "[proxy_protocol]")
{
    const std::string unspec = "0d0a0d0a000d0a515549540a21000000";
    CHECK(encoded({}, {}) == unspec);
    CHECK(encoded(client, {}) == unspec);
    CHECK(encoded(endpoint::unix_unnamed(), server) == unspec);
    CHECK(encoded(client, server, {.transport = transport::unspec}) == unspec);
}

TEST_CASE("LOCAL is sixteen bytes whatever is known", "[proxy_protocol]")
{
    const std::string local = "0d0a0d0a000d0a515549540a20000000";
    CHECK(encoded(client, server, {.command = command::local}) == local);
    CHECK(encoded({}, {}, {.command = command::local, .crc32c = true}) == local);
    const std::array entries{tlv{tlv_type::alpn, as_bytes("h2")}};
    CHECK(encoded({}, {}, {.command = command::local, .tlvs = entries}) == "local_no_tlvs");
    CHECK(encoded({}, {}, {.version = 1, .command = command::local}) == "v1_local");
}

TEST_CASE("UNIX names keep their bytes and are padded with NUL", "[proxy_protocol]")
{
    const auto bytes = encode(endpoint::unix_abstract("ab"), endpoint::unix_path("/c"),
                              {.transport = transport::dgram});
    REQUIRE(bytes);
    REQUIRE(bytes->size() == 232);
    CHECK(hex_text(const_bytes{*bytes}.first(20)) == "0d0a0d0a000d0a515549540a213200d800616200");
    CHECK(hex_text(const_bytes{*bytes}.subspan(124, 4)) == "2f630000");
}

TEST_CASE("entries that must not be sent are refused", "[proxy_protocol]")
{
    const std::string id(129, 'u');
    struct row {
        u8 type;
        std::string_view value, outcome;
    };
    for (const auto& [type, value, outcome] : {
             row{0x03, "abcd", "tlv_reserved"},
             row{0x04, "", "tlv_reserved"},
             row{0x05, id, "unique_id_too_long"},
             row{0x20, "abcd", "tlv_malformed"},
             row{0x20, std::string_view{"\1\0\0\0\1\x21\0\2x", 9}, "tlv_malformed"},
             row{0xf0, "", "tlv_experimental"},
             row{0xf7, "", "tlv_experimental"},
             row{0xf8, "", "tlv_future"},
             row{0xff, "", "tlv_future"},
             row{0xef, "", "0d0a0d0a000d0a515549540a2111000fc0000201c6336402dc0401bbef0000"},
         })
    {
        const std::array entries{tlv{static_cast<tlv_type>(type), as_bytes(value)}};
        CHECK(encoded(client, server, {.tlvs = entries}) == outcome);
    }
    const std::array entries{tlv{static_cast<tlv_type>(0xf0), {}}};
    CHECK(encoded(client, server, {.tlvs = entries, .allow_experimental = true}) ==
          "0d0a0d0a000d0a515549540a2111000fc0000201c6336402dc0401bbf00000");
}

TEST_CASE("v1 cannot carry what only v2 has", "[proxy_protocol]")
{
    const ssl_fields ssl{.version = "TLSv1.3"};
    CHECK(encoded(client, server, {.version = 1, .ssl = &ssl}) == "v1_no_tlvs");
    CHECK(encoded(client, server, {.version = 1, .crc32c = true}) == "v1_no_tlvs");
    CHECK(encoded(client, server, {.version = 1, .pad_to = 64}) == "v1_no_tlvs");
    CHECK(encoded(client, server, {.version = 1, .align = 8}) == "v1_no_tlvs");
    CHECK(encoded(client, server, {.version = 3}) == "version_unknown");
    CHECK(encoded(client, server, {.version = 0}) == "version_unknown");
}

TEST_CASE("padding reaches its size and its multiple, never by one or two bytes",
          "[proxy_protocol]")
{
    struct row {
        u32 pad_to, align;
        std::size_t size;
    };
    // The header alone has 28 bytes, with a checksum 35.
    for (const auto& [pad_to, align, size] :
         {row{0, 0, 28}, row{28, 0, 28}, row{20, 0, 28}, row{29, 0, 31}, row{30, 0, 31},
          row{31, 0, 31}, row{0, 4, 28}, row{0, 8, 32}, row{0, 30, 60}, row{0, 29, 58},
          row{40, 16, 48}, row{0, 1, 28}})
    {
        CAPTURE(pad_to, align);
        const auto bytes = encode(client, server, {.pad_to = pad_to, .align = align});
        REQUIRE(bytes);
        CHECK(bytes->size() == size);
        CHECK(parse(*bytes).header.size() == size);
    }
    CHECK(encode(client, server, {.crc32c = true, .align = 64})->size() == 64);
    CHECK(encoded(client, server, {.pad_to = 65552}) == "too_large");
    CHECK(encoded(client, server, {.align = ~0u}) == "too_large");
    CHECK(encode(client, server, {.pad_to = 65551})->size() == 65551);
}

TEST_CASE("an SSL entry says verified only for a certificate that was", "[proxy_protocol]")
{
    const auto ssl_of = [](const ssl_fields& ssl) {
        const auto bytes = encode(client, server, {.ssl = &ssl});
        REQUIRE(bytes);
        return hex_text(*parse(*bytes).header.tlvs().find(tlv_type::ssl));
    };
    CHECK(ssl_of({.version = "a"}) == "0100000001"
                                      "21000161");
    CHECK(ssl_of({.version = "a", .client_cert = ssl_fields::certificate{.cn = "c"}}) ==
          "0700000000"
          "21000161"
          "22000163");
    CHECK(ssl_of({.version = "a",
                  .client_cert =
                      ssl_fields::certificate{.cn = "", .verify = 18, .this_connection = false}}) ==
          "0500000012"
          "21000161"
          "220000");
    const std::array der{std::byte{0x30}};
    CHECK(ssl_of({.version = "a",
                  .cipher = "b",
                  .sig_alg = "d",
                  .key_alg = "e",
                  .group = "f",
                  .sig_scheme = "g",
                  .client_cert = ssl_fields::certificate{.cn = "c", .der = der}}) == "0700000000"
                                                                                     "21000161"
                                                                                     "22000163"
                                                                                     "23000162"
                                                                                     "24000164"
                                                                                     "25000165"
                                                                                     "26000166"
                                                                                     "27000167"
                                                                                     "28000130");
    const ssl_fields nameless{};
    CHECK(encoded(client, server, {.ssl = &nameless}) == "ssl_version_missing");
}

TEST_CASE("encode stays within the room it is given", "[proxy_protocol]")
{
    for (const u8 version : {u8{1}, u8{2}}) {
        const encode_options options{.version = version};
        const auto size = encode(client, server, options)->size();
        for (std::size_t room = 0; room <= size; ++room) {
            const auto bytes = std::make_unique<std::byte[]>(room);
            const auto written = encode(client, server, options, {bytes.get(), room});
            REQUIRE(written.has_value() == (room == size));
            if (!written)
                CHECK(written.error() == encode_error::room_too_small);
        }
    }
}

TEST_CASE("the checksum comes last and covers the padding", "[proxy_protocol]")
{
    const auto bytes = encode(client, server, {.crc32c = true, .pad_to = 40});
    REQUIRE(bytes);
    CHECK(hex_text(const_bytes{*bytes}.subspan(28, 5)) == "0400020000");
    CHECK(hex_text(const_bytes{*bytes}.subspan(33, 3)) == "030004");
    CHECK(parse(*bytes, {.require_crc32c = true}).status == parse_status::complete);
}

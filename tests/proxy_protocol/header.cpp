#include <whence/proxy_protocol/header.hpp>

#include "proxy_protocol/wire.hpp"

#include <catch2/catch_test_macros.hpp>

#include <optional>

using namespace whence;
using namespace whence::proxy_protocol;

namespace {

const std::string signature = "0d0a0d0a000d0a515549540a";

/// Decodes, keeps an owned copy, and lets the wire's bytes go.
header owned(const std::string& hex)
{
    const auto bytes = from_hex(hex);
    const auto found = parse(bytes);
    REQUIRE(found.status == parse_status::complete);
    header copy{found.header};
    CHECK(describe(copy.view()) == describe(found.header));
    return copy;
}

std::string unix_block(const std::string& name_hex)
{
    return name_hex + std::string(216 - name_hex.size(), '0');
}

}  // namespace

TEST_CASE("a header outlives the bytes that it was decoded from", "[proxy_protocol]")
{
    CHECK(describe(owned(signature + "20000000").view()) == "v2 LOCAL UNSPEC UNSPEC - - size 16");
    CHECK(describe(owned(signature + "2112000cc0000201c6336402dc0401bb").view()) ==
          "v2 PROXY INET DGRAM 192.0.2.1:56324 198.51.100.2:443 size 28");
    CHECK(describe(owned(signature + "21110014c0000201c6336402dc0401bbe1000161e1000162").view()) ==
          "v2 PROXY INET STREAM 192.0.2.1:56324 198.51.100.2:443 225=61 225=62 size 36");
    CHECK(describe(owned(hex_text(as_bytes("PROXY TCP6 ::1 2001:db8::2 1 2\r\n"))).view()) ==
          "v1 PROXY INET6 STREAM [::1]:1 [2001:db8::2]:2 size 32");
    CHECK(describe(owned(hex_text(as_bytes("PROXY UNKNOWN\r\n"))).view()) ==
          "v1 PROXY UNSPEC UNSPEC - - size 15");
    CHECK(
        describe(owned(signature + "213100db" + unix_block("2f61") + unix_block("0062") + "040000")
                     .view()) == "v2 PROXY UNIX STREAM unix:/a unix:@b 4= size 235");
    CHECK(describe(owned(signature + "21000005" + "0102030405").view()) ==
          "v2 PROXY UNSPEC UNSPEC - - size 21");
    STATIC_REQUIRE(sizeof(header) == 16);
}

TEST_CASE("addresses are canonical, and as sent when asked for", "[proxy_protocol]")
{
    const auto mapped = owned(signature + "21210024" + "00000000000000000000ffffc0000201" +
                              "00000000000000000000ffffc6336402" + "dc0401bb");
    const auto view = mapped.view();
    CHECK(to_string(view.source()) == "192.0.2.1:56324");
    CHECK(to_string(view.destination()) == "198.51.100.2:443");
    CHECK(to_string(view.source_as_sent()) == "[::ffff:192.0.2.1]:56324");
    CHECK(to_string(view.destination_as_sent()) == "[::ffff:198.51.100.2]:443");
    CHECK(view.family() == family::inet6);
    CHECK(view.address_block().size() == 36);
}

TEST_CASE("UNIX names fill all 108 bytes, end at NUL, or are abstract",
          "[proxy_protocol]")  // rule 42
{
    struct row {
        std::string block;
        std::string_view source;
    };
    std::string full;
    for (int i = 0; i < 108; ++i)
        full += "73";
    const std::string printed = "unix:" + std::string(108, 's');
    for (const auto& [block, source] : {
             row{unix_block("2f61"), "unix:/a"},
             row{unix_block("2f610062"), "unix:/a"},
             row{unix_block("00616200"), "unix:@ab"},
             row{unix_block("00610062"), R"(unix:@a\x00b)"},
             row{unix_block(""), "unix:"},
             row{full, printed},
         })
    {
        const auto header = owned(signature + "213100d8" + block + unix_block("2f64"));
        CHECK(to_string(header.view().source()) == source);
        CHECK(to_string(header.view().destination()) == "unix:/d");
    }
}

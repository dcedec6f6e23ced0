#include <whence/address/ip_address.hpp>

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <unordered_set>

using namespace whence;

static_assert(ip_address::v4(127, 0, 0, 1).is_loopback());
static_assert(ip_address::v4(10, 1, 2, 3).leading(8) == ip_address::v4(10, 0, 0, 0));
static_assert(ip_address::v4(10, 1, 2, 3).mapped().canonical() == ip_address::v4(10, 1, 2, 3));

namespace {

ip_address parsed(std::string_view text)
{
    // Exactly as long as the text, so that a sanitizer sees a read behind it.
    const auto exact = std::make_unique<char[]>(text.size());
    text.copy(exact.get(), text.size());
    auto address = ip_address::parse({exact.get(), text.size()});
    CAPTURE(text);
    REQUIRE(address);
    return *address;
}

}  // namespace

TEST_CASE("addresses are read and printed as RFC 5952 wants them", "[address]")
{
    struct row {
        std::string_view text, printed;
    };
    for (const auto& [text, printed] : {
             row{"0.0.0.0", "0.0.0.0"},
             row{"255.255.255.255", "255.255.255.255"},
             row{"192.0.2.10", "192.0.2.10"},
             row{"::", "::"},
             row{"::1", "::1"},
             row{"1::", "1::"},
             row{"2001:DB8::1", "2001:db8::1"},
             row{"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
             row{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
             row{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
             row{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
             row{"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
             row{"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
             row{"1:0:0:4:5:6:0:0", "1::4:5:6:0:0"},
             row{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
             row{"::ffff:c000:201", "::ffff:192.0.2.1"},
             row{"::192.0.2.1", "::c000:201"},
             row{"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
             row{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
         })
    {
        CHECK(to_string(parsed(text)) == printed);
        CHECK(parsed(printed) == parsed(text));
    }
}

TEST_CASE("text that is no address is refused", "[address]")
{
    for (const auto* text : {"",
                             "1",
                             "1.2.3",
                             "1.2.3.",
                             "1.2.3.4.",
                             "1.2.3.4.5",
                             ".1.2.3",
                             "1..2.3",
                             "256.1.1.1",
                             "01.2.3.4",
                             "1.2.3.04",
                             "1.2.3.1000",
                             "1.2.3.4 ",
                             " 1.2.3.4",
                             "+1.2.3.4",
                             "1.2.3.-4",
                             "a.b.c.d",
                             ":",
                             ":::",
                             "1:",
                             ":1",
                             "1:2",
                             "1:2:3:4:5:6:7",
                             "1:2:3:4:5:6:7:8:9",
                             "1:2:3:4:5:6:7:8:",
                             "1:2:3:4:5:6:7:8::",
                             "1:2:3:4::5:6:7:8",
                             "1::2::3",
                             "12345::",
                             "g::",
                             "::1%eth0",
                             "[::1]",
                             "::1 ",
                             "1.2.3.4::",
                             "::1.2.3",
                             "::1.2.3.256",
                             "1:2:3:4:5:6:7:1.2.3.4",
                             "::01.2.3.4",
                             "::ffff:1.2.3.4:5",
                             "1:2:3:4:5:1.2.3.4"})
    {
        CAPTURE(text);
        CHECK_FALSE(ip_address::parse(text));
    }
    CHECK(ip_address::parse("1.2.3.04").error() ==
          R"("1.2.3.04": not an IPv4 address (four numbers 0 to 255, no leading zeros))");
    CHECK(ip_address::parse("::g").error() == R"("::g": not an IPv6 address)");
}

TEST_CASE("a mapped address and its IPv4 form differ until made canonical", "[address]")
{
    const auto mapped = parsed("::ffff:10.0.0.1");
    const auto plain = parsed("10.0.0.1");
    CHECK(mapped != plain);
    CHECK(mapped.is_v6());
    CHECK(mapped.is_v4_mapped());
    CHECK(mapped.canonical() == plain);
    CHECK(plain.mapped() == mapped);
    CHECK(parsed("::10.0.0.1").canonical() == parsed("::10.0.0.1"));
}

TEST_CASE("addresses know what they are for", "[address]")
{
    struct row {
        std::string_view text;
        bool unspecified, loopback, link_local, multicast;
    };
    for (const auto& [text, unspecified, loopback, link_local, multicast] : {
             row{"0.0.0.0", true, false, false, false},
             row{"::", true, false, false, false},
             row{"::ffff:0.0.0.0", true, false, false, false},
             row{"127.8.9.1", false, true, false, false},
             row{"::1", false, true, false, false},
             row{"::ffff:127.0.0.1", false, true, false, false},
             row{"169.254.1.1", false, false, true, false},
             row{"fe80::1", false, false, true, false},
             row{"febf::1", false, false, true, false},
             row{"fec0::1", false, false, false, false},
             row{"224.0.0.1", false, false, false, true},
             row{"ff02::1", false, false, false, true},
             row{"192.0.2.1", false, false, false, false},
             row{"2001:db8::1", false, false, false, false},
         })
    {
        CAPTURE(text);
        const auto address = parsed(text);
        CHECK(address.is_unspecified() == unspecified);
        CHECK(address.is_loopback() == loopback);
        CHECK(address.is_link_local() == link_local);
        CHECK(address.is_multicast() == multicast);
    }
}

TEST_CASE("addresses are ordered, hashed and taken apart", "[address]")
{
    CHECK(parsed("255.0.0.0") < parsed("::"));
    CHECK(parsed("10.0.0.1") < parsed("10.0.0.2"));
    CHECK(parsed("1::") > parsed("::1"));
    const std::unordered_set<ip_address> set{parsed("10.0.0.1"), parsed("::ffff:10.0.0.1"),
                                             parsed("10.0.0.1")};
    CHECK(set.size() == 2);
    const std::array four{std::byte{10}, std::byte{0}, std::byte{0}, std::byte{1}};
    CHECK(parsed("10.0.0.1").v4_bytes() == four);
    CHECK(ip_address::v4(four) == parsed("10.0.0.1"));
    CHECK(ip_address::v6(parsed("2001:db8::1").bytes()) == parsed("2001:db8::1"));
    CHECK(parsed("2001:db8:ffff::1").leading(33) == parsed("2001:db8:8000::"));
    CHECK(parsed("2001:db8::ffff:1").leading(97) == parsed("2001:db8::8000:0").leading(97));
    CHECK(parsed("::1").leading(0) == parsed("::"));
}

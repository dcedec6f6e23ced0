#include <whence/address/network.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace whence;

namespace {

network parsed(std::string_view text)
{
    auto value = network::parse(text);
    CAPTURE(text);
    REQUIRE(value);
    return *value;
}

ip_address address(std::string_view text)
{
    return *ip_address::parse(text);
}

}  // namespace

TEST_CASE("networks are read and printed", "[address]")
{
    struct row {
        std::string_view text, printed;
    };
    for (const auto& [text, printed] :
         {row{"10.0.0.0/8", "10.0.0.0/8"}, row{"10.1.2.3", "10.1.2.3/32"},
          row{"0.0.0.0/0", "0.0.0.0/0"}, row{"2001:db8::/32", "2001:db8::/32"},
          row{"::1", "::1/128"}, row{"::/0", "::/0"}, row{"::ffff:10.0.0.0/104", "10.0.0.0/8"},
          row{"::ffff:10.0.0.1", "10.0.0.1/32"}, row{"::ffff:0:0/96", "0.0.0.0/0"}})
        CHECK(to_string(parsed(text)) == printed);
}

TEST_CASE("networks that say nothing clear are refused", "[address]")
{
    struct row {
        std::string_view text, message;
    };
    for (const auto& [text, message] :
         {row{"10.0.0.1/8",
              R"("10.0.0.1/8": bits set behind the prefix; did you mean 10.0.0.0/8?)"},
          row{"2001:db8::1/32",
              R"("2001:db8::1/32": bits set behind the prefix; did you mean 2001:db8::/32?)"},
          row{"::ffff:10.0.0.0/95",
              R"("::ffff:10.0.0.0/95": bits set behind the prefix; did you mean ::fffe:0:0/95?)"},
          row{"10.0.0.0/33", R"("10.0.0.0/33": prefix "33": must be at most 32)"},
          row{"::/129", R"("::/129": prefix "129": must be at most 128)"},
          row{"10.0.0.0/", R"("10.0.0.0/": prefix "": must be a whole number)"},
          row{"10.0.0.0/-1", R"("10.0.0.0/-1": prefix "-1": must be a whole number)"},
          row{"10.0.0/8",
              R"("10.0.0": not an IPv4 address (four numbers 0 to 255, no leading zeros))"},
          row{"localhost",
              R"("localhost": not an IPv4 address (four numbers 0 to 255, no leading zeros))"},
          row{"fe80::%1/64", R"("fe80::%1": not an IPv6 address)"}})
    {
        const auto refused = network::parse(text);
        REQUIRE_FALSE(refused);
        CHECK(refused.error() == message);
    }
}

TEST_CASE("a network holds what its prefix covers, mapped or not", "[address]")
{
    struct row {
        std::string_view net, inside;
        bool holds;
    };
    for (const auto& [net, inside, holds] : {
             row{"10.0.0.0/8", "10.255.0.1", true},
             row{"10.0.0.0/8", "11.0.0.1", false},
             row{"10.0.0.0/8", "::ffff:10.1.1.1", true},
             row{"::ffff:10.0.0.0/104", "10.1.1.1", true},
             row{"::ffff:10.0.0.0/104", "::ffff:10.1.1.1", true},
             row{"0.0.0.0/0", "203.0.113.7", true},
             row{"0.0.0.0/0", "::1", false},
             row{"::/0", "2001:db8::1", true},
             row{"::/0", "10.0.0.1", false},
             row{"::/0", "::ffff:10.0.0.1", false},
             row{"192.0.2.1", "192.0.2.1", true},
             row{"192.0.2.1", "192.0.2.2", false},
             row{"2001:db8::/33", "2001:db8:7fff::1", true},
             row{"2001:db8::/33", "2001:db8:8000::1", false},
             row{"2001:db8::/65", "2001:db8::7fff:0:0:1", true},
             row{"2001:db8::/65", "2001:db8::8000:0:0:1", false},
         })
    {
        CAPTURE(net, inside);
        CHECK(parsed(net).contains(address(inside)) == holds);
    }
}

#include <whence/address/network_set.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <random>
#include <string_view>

using namespace whence;

namespace {

network_set set_of(std::initializer_list<std::string_view> texts)
{
    std::vector<network> networks;
    for (const auto text : texts)
        networks.push_back(*network::parse(text));
    return network_set{std::move(networks)};
}

ip_address address(std::string_view text)
{
    return *ip_address::parse(text);
}

}  // namespace

TEST_CASE("a set of networks holds what one of them holds", "[address]")
{
    const auto set =
        set_of({"10.2.0.0/16", "192.0.2.7", "10.0.0.0/9", "2001:db8::/32", "10.2.3.0/24",
                "10.0.0.0/9", "2001:db8:1::/48", "10.200.0.0/16", "::ffff:198.51.100.0/120"});
    CHECK(set.size() == 5);
    for (const auto inside :
         {"10.0.0.0", "10.2.3.4", "10.127.255.255", "10.200.1.1", "192.0.2.7",
          "2001:db8::", "2001:db8:ffff::1", "::ffff:192.0.2.7", "198.51.100.200"})
        CHECK(set.contains(address(inside)));
    for (const auto outside :
         {"9.255.255.255", "10.128.0.0", "10.201.0.0", "192.0.2.6", "192.0.2.8",
          "2001:db7::", "2001:db9::", "::", "::c000:207", "255.255.255.255", "198.51.101.0"})
        CHECK_FALSE(set.contains(address(outside)));
}

TEST_CASE("an empty set holds nothing, and the shortest prefixes hold a family", "[address]")
{
    CHECK_FALSE(network_set{}.contains(address("10.0.0.1")));
    CHECK_FALSE(network_set{}.contains(address("::")));
    const auto all_v4 = set_of({"0.0.0.0/0", "10.0.0.0/8"});
    CHECK(all_v4.size() == 1);
    CHECK(all_v4.contains(address("255.255.255.255")));
    CHECK_FALSE(all_v4.contains(address("2001:db8::1")));
    const auto all_v6 = set_of({"::/0"});
    CHECK(all_v6.contains(address("ffff::")));
    CHECK_FALSE(all_v6.contains(address("10.0.0.1")));
    CHECK_FALSE(all_v6.contains(address("::ffff:10.0.0.1")));
}

TEST_CASE("a set agrees with its networks, one by one", "[address]")
{
    std::minstd_rand random{4};
    const auto any_address = [&random](bool v4) {
        // Few different bytes, so that networks nest and addresses hit.
        std::array<std::byte, 16> bytes{};
        for (auto& byte : bytes)
            byte = static_cast<std::byte>((random() >> 8) % 3);
        return v4 ? ip_address::v4(std::span{bytes}.first<4>()) : ip_address::v6(bytes);
    };
    for (int round = 0; round < 200; ++round) {
        std::vector<network> networks;
        for (int i = 0; i < 20; ++i) {
            const auto at = any_address(random() % 2 == 0);
            const auto bits = static_cast<u8>((random() >> 8) % (at.bits() + 1u));
            if (bits > at.bits() / 4)
                networks.push_back(network{at.leading(bits), bits});
        }
        const network_set set{networks};
        for (int i = 0; i < 50; ++i) {
            const auto one = any_address(i % 2 == 0);
            const bool expected = std::ranges::any_of(
                networks, [&one](const network& each) { return each.contains(one); });
            REQUIRE(set.contains(one) == expected);
        }
    }
}

#include <whence/address/endpoint.hpp>

#include <catch2/catch_test_macros.hpp>

#include <unordered_set>

using namespace whence;
using namespace std::string_literals;

namespace {

endpoint parsed(std::string_view text)
{
    auto value = endpoint::parse(text);
    CAPTURE(text);
    REQUIRE(value);
    return std::move(value).value();
}

}  // namespace

TEST_CASE("endpoints are read and printed alike", "[address]")
{
    for (const auto* text : {"203.0.113.7:4242", "0.0.0.0:0", "255.255.255.255:65535",
                             "[2001:db8::1]:443", "[fe80::1%3]:80", "[fe80::1%4294967295]:65535",
                             "[::ffff:192.0.2.1]:1", "unix:/run/a.sock", "unix:relative",
                             "unix:@abstract", "unix:@", "unix:", R"(unix:\x40not-abstract)",
                             R"(unix:/a\x20b\x0a\xff\\c)", R"(unix:@a\x00b@)", "-"})
    {
        CAPTURE(text);
        CHECK(to_string(parsed(text)) == text);
        CHECK(parsed(to_string(parsed(text))) == parsed(text));
    }
    CHECK(parsed(R"(unix:@\x61\x62)") == endpoint::unix_abstract("ab"));
}

TEST_CASE("text that is no endpoint is refused with the place", "[address]")
{
    struct row {
        std::string text, message;
    };
    for (const auto& [text, message] : {
             row{"", "neither an IPv4 address nor '[' nor \"unix:\", at byte 0"},
             row{"*:7000", "neither an IPv4 address nor '[' nor \"unix:\", at byte 0"},
             row{"host:80", "neither an IPv4 address nor '[' nor \"unix:\", at byte 0"},
             row{"2001:db8::1:80", "neither an IPv4 address nor '[' nor \"unix:\", at byte 0"},
             row{"10.0.0.1", "':' and a port expected, at byte 8"},
             row{"10.0.0.1:", "the port must be a number from 0 to 65535, at byte 9"},
             row{"10.0.0.1:080", "the port must be a number from 0 to 65535, at byte 9"},
             row{"10.0.0.1:65536", "the port must be a number from 0 to 65535, at byte 9"},
             row{"10.0.0.1:-1", "the port must be a number from 0 to 65535, at byte 9"},
             row{"10.0.0.1:80 ", "the port must be a number from 0 to 65535, at byte 9"},
             row{"[::1", "no ']' after the IPv6 address, at byte 4"},
             row{"[::1]443", "':' and a port expected, at byte 5"},
             row{"[::g]:1", "not an IPv6 address, at byte 1"},
             row{"[10.0.0.1]:1", "not an IPv6 address, at byte 1"},
             row{"[fe80::1%eth0]:1", "the scope must be a number, at byte 9"},
             row{"[fe80::1%]:1", "the scope must be a number, at byte 9"},
             row{"unix:" + "p"s.append(108, 'p'), "UNIX name longer than 108 bytes, at byte 113"},
             row{"unix:@" + ""s.append(108, 'p'), "UNIX name longer than 107 bytes, at byte 113"},
             row{R"(unix:/a\)", "'\\' must begin \\\\ or \\xNN, at byte 7"},
             row{R"(unix:/a\x1)", "'\\' must begin \\\\ or \\xNN, at byte 7"},
             row{R"(unix:/a\x1g)", "'\\' must begin \\\\ or \\xNN, at byte 7"},
             row{R"(unix:/a\n)", "'\\' must begin \\\\ or \\xNN, at byte 7"},
             row{R"(unix:/a\x00b)", "a path cannot hold NUL, at byte 5"},
         })
    {
        CAPTURE(text);
        const auto refused = endpoint::parse(text);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().ends_with(": " + message));
    }
}

TEST_CASE("a UNIX name of any bytes and full length survives print and parse", "[address]")
{
    std::string name;
    for (int i = 0; i < 107; ++i)
        name += static_cast<char>(i * 37 + 128);
    const auto abstract = endpoint::unix_abstract(name);
    CHECK(abstract.unix_name() == name);
    CHECK(parsed(to_string(abstract)) == abstract);
    const auto path = endpoint::unix_path(std::string(108, '\x01'));
    CHECK(to_string(path).size() == 5 + 4 * 108);
    CHECK(parsed(to_string(path)) == path);
}

TEST_CASE("endpoints own their names", "[address]")
{
    STATIC_REQUIRE(sizeof(endpoint) == 24);
    const auto original = endpoint::unix_path("/run/a.sock");
    auto copy = original;
    CHECK(copy == original);
    CHECK(copy.unix_name().data() != original.unix_name().data());
    auto moved = std::move(copy);
    CHECK(moved == original);
    CHECK(copy.empty());  // NOLINT: what a moved-from endpoint holds is documented
    moved = endpoint{ip_address::v4(10, 0, 0, 1), 80};
    CHECK(to_string(moved) == "10.0.0.1:80");
    moved = original;
    auto& self = moved;
    moved = self;
    CHECK(moved == original);
}

TEST_CASE("endpoints tell what they are", "[address]")
{
    CHECK(endpoint{}.empty());
    CHECK(endpoint{} == parsed("-"));
    const auto v6 = parsed("[fe80::1%3]:80");
    CHECK(v6.kind() == endpoint_kind::ipv6);
    CHECK(v6.scope_id() == 3);
    CHECK(v6.port() == 80);
    CHECK(to_string(v6.address()) == "fe80::1");
    CHECK(parsed("[::ffff:10.0.0.1]:80").canonical() == parsed("10.0.0.1:80"));
    CHECK(v6.canonical() == v6);
    CHECK(parsed("unix:").kind() == endpoint_kind::unix_unnamed);
    CHECK(parsed("unix:").is_unix());
    CHECK(parsed("unix:").unix_name().empty());
}

TEST_CASE("endpoints are ordered and hashed by value", "[address]")
{
    CHECK(parsed("10.0.0.1:80") < parsed("10.0.0.1:81"));
    CHECK(parsed("10.0.0.1:80") < parsed("[::1]:80"));
    CHECK(parsed("[fe80::1%1]:80") < parsed("[fe80::1%2]:80"));
    CHECK(parsed("unix:/a") < parsed("unix:/b"));
    CHECK(parsed("unix:/a") != parsed("unix:@/a"));
    const std::unordered_set<endpoint> set{parsed("unix:/a"), parsed("unix:/a"), parsed("unix:@/a"),
                                           parsed("10.0.0.1:80"), parsed("10.0.0.1:81")};
    CHECK(set.size() == 4);
}

#include <whence/asio_interop/endpoint.hpp>

#include <asio/ip/udp.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace whence;
using asio_interop::to_endpoint;
using asio_interop::to_ip_endpoint;

TEST_CASE("addresses go from Asio to whence and back", "[asio_interop]")
{
    const auto four = asio::ip::tcp::endpoint{asio::ip::make_address("203.0.113.7"), 4242};
    CHECK(to_string(to_endpoint(four)) == "203.0.113.7:4242");
    CHECK(to_ip_endpoint(*endpoint::parse("203.0.113.7:4242")) == four);

    const auto six = asio::ip::tcp::endpoint{asio::ip::make_address("2001:db8::1"), 443};
    CHECK(to_string(to_endpoint(six)) == "[2001:db8::1]:443");
    CHECK(to_ip_endpoint(*endpoint::parse("[2001:db8::1]:443")) == six);

    const auto scoped = asio::ip::tcp::endpoint{asio::ip::make_address("fe80::1%3"), 80};
    CHECK(to_string(to_endpoint(scoped)) == "[fe80::1%3]:80");
    CHECK(to_ip_endpoint(*endpoint::parse("[fe80::1%3]:80")) == scoped);

    const auto datagrams = asio::ip::udp::endpoint{asio::ip::make_address("192.0.2.9"), 53};
    CHECK(to_ip_endpoint<asio::ip::udp>(*endpoint::parse("192.0.2.9:53")) == datagrams);
}

TEST_CASE("an IPv4 address in IPv6 clothes becomes IPv4", "[asio_interop]")
{
    const auto mapped = asio::ip::tcp::endpoint{asio::ip::make_address("::ffff:203.0.113.7"), 1};
    CHECK(to_string(to_endpoint(mapped)) == "203.0.113.7:1");
}

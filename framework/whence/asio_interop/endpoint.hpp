#pragma once

#include <whence/address/endpoint.hpp>

#include <asio/ip/basic_endpoint.hpp>
#include <asio/ip/tcp.hpp>

#include <bit>

namespace whence::inline v0::asio_interop {

/// Turns an address of Asio's into whence's, canonical: ::ffff:a.b.c.d becomes IPv4, as everywhere.
template <class Protocol>
endpoint to_endpoint(const asio::ip::basic_endpoint<Protocol>& from)
{
    if (from.address().is_v4()) {
        const auto bytes =
            std::bit_cast<std::array<std::byte, 4>>(from.address().to_v4().to_bytes());
        return {ip_address::v4(bytes), from.port()};
    }
    const asio::ip::address_v6 six = from.address().to_v6();
    const auto bytes = std::bit_cast<std::array<std::byte, 16>>(six.to_bytes());
    const auto scope = static_cast<u32>(six.scope_id());
    return endpoint{ip_address::v6(bytes), from.port(), scope}.canonical();
}

/// Turns an address of whence's, such as a client's, into Asio's.
/// limits: only when it is_ip(); a client behind a proxy may also have a UNIX name or none.
template <class Protocol = asio::ip::tcp>
asio::ip::basic_endpoint<Protocol> to_ip_endpoint(const endpoint& from)
{
    const ip_address address = from.address();
    if (address.is_v4())
        return {asio::ip::address_v4{
                    std::bit_cast<asio::ip::address_v4::bytes_type>(address.v4_bytes())},
                from.port()};
    return {asio::ip::address_v6{std::bit_cast<asio::ip::address_v6::bytes_type>(address.bytes()),
                                 from.scope_id()},
            from.port()};
}

}  // namespace whence::inline v0::asio_interop

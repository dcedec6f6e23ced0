#include <whence/address/socket_address.hpp>

#include <netinet/in.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace whence::inline v0::internal {

socket_address to_socket_address(const endpoint& from) noexcept
{
    socket_address to;
    switch (from.kind()) {
    case endpoint_kind::ipv4: {
        auto& in = reinterpret_cast<sockaddr_in&>(to.storage);
        in.sin_family = AF_INET;
        in.sin_port = htons(from.port());
        const auto bytes = from.address().v4_bytes();
        std::memcpy(&in.sin_addr, bytes.data(), bytes.size());
        to.size = sizeof in;
        break;
    }
    case endpoint_kind::ipv6: {
        auto& in6 = reinterpret_cast<sockaddr_in6&>(to.storage);
        in6.sin6_family = AF_INET6;
        in6.sin6_port = htons(from.port());
        in6.sin6_scope_id = from.scope_id();
        const auto bytes = from.address().bytes();
        std::memcpy(&in6.sin6_addr, bytes.data(), bytes.size());
        to.size = sizeof in6;
        break;
    }
    case endpoint_kind::unix_path:
    case endpoint_kind::unix_abstract:
    case endpoint_kind::unix_unnamed: {
        auto& un = reinterpret_cast<sockaddr_un&>(to.storage);
        un.sun_family = AF_UNIX;
        const std::string_view name = from.unix_name();
        const std::size_t at = from.kind() == endpoint_kind::unix_abstract ? 1 : 0;
        name.copy(un.sun_path + at, name.size());  // an unnamed one has no bytes at all
        const bool terminated = from.kind() == endpoint_kind::unix_path && name.size() < 108;
        to.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + at + name.size() +
                                         (terminated ? 1 : 0));
        break;
    }
    case endpoint_kind::empty:
        break;
    }
    return to;
}

endpoint from_socket_address(const socket_address& from)
{
    switch (from.storage.ss_family) {
    case AF_INET: {
        const auto& in = reinterpret_cast<const sockaddr_in&>(from.storage);
        std::array<std::byte, 4> bytes{};
        std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
        return endpoint{ip_address::v4(bytes), ntohs(in.sin_port)};
    }
    case AF_INET6: {
        const auto& in6 = reinterpret_cast<const sockaddr_in6&>(from.storage);
        std::array<std::byte, 16> bytes{};
        std::memcpy(bytes.data(), &in6.sin6_addr, bytes.size());
        return endpoint{ip_address::v6(bytes), ntohs(in6.sin6_port), in6.sin6_scope_id};
    }
    case AF_UNIX: {
        const auto& un = reinterpret_cast<const sockaddr_un&>(from.storage);
        const std::size_t head = offsetof(sockaddr_un, sun_path);
        const std::size_t size = from.size > head ? from.size - head : 0;
        if (size == 0)
            return endpoint::unix_unnamed();
        if (un.sun_path[0] == '\0')
            return endpoint::unix_abstract({un.sun_path + 1, size - 1});
        return endpoint::unix_path({un.sun_path, strnlen(un.sun_path, size)});
    }
    default:
        return {};
    }
}

}  // namespace whence::inline v0::internal

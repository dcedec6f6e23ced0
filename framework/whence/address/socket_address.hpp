#pragma once

#include <whence/address/endpoint.hpp>

#include <sys/socket.h>

namespace whence::inline v0::internal {

/// Holds an address as the kernel reads it. Not a public header: it brings the system's along.
struct socket_address {
    sockaddr_storage storage{};
    socklen_t size = 0;

    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
    sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
};

/// errors: a path of 108 bytes has no room for its NUL in Linux's bind; the kernel takes it as is.
socket_address to_socket_address(const endpoint& from) noexcept;
endpoint from_socket_address(const socket_address& from);

}  // namespace whence::inline v0::internal

#pragma once

#include <whence/net/socket.hpp>

namespace whence::inline v0::internal {

// Not a public header: the steps by which sockets come up, with errors that name the address.

/// Throws std::system_error: "STEP ADDRESS: WHY: the error's text".
[[noreturn]] void fail_at(const char* step, const endpoint& at, int error,
                          const char* why = nullptr);

/// Opens a stream socket of the endpoint's family.
socket_handle open_socket(const endpoint& at);
void set_option(int fd, int level, int name, int value, const char* step, const endpoint& at);
/// Asks for an option; empty when it cannot be had.
std::optional<int> option_of(int fd, int level, int name) noexcept;

}  // namespace whence::inline v0::internal

#pragma once

#include <whence/net/socket_path.hpp>

namespace whence::inline v0::internal {

/// Holds a socket that listens, and the path that it made. Not a public header: beneath listener.
struct listener_socket {
    socket_handle handle;
    socket_path path;  // behind the handle: it goes while the socket still listens
};

/// Opens a listening stream socket.
/// errors: std::system_error naming the address and the step.
listener_socket open_listener_socket(const endpoint& local, const listen_options& options);

/// Checks that a descriptor is a stream socket that listens, and sets the options that a listening
/// socket takes.
/// errors: std::system_error naming the descriptor and what is wrong.
void adopt_listener_socket(int fd, const listen_options& options);

/// Gives the options with which a second socket may be bound to the same port.
/// errors: std::system_error when none may.
listen_options options_of_clone(int fd, const endpoint& local, listen_options options);

}  // namespace whence::inline v0::internal

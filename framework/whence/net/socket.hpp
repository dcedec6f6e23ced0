#pragma once

#include <whence/address/endpoint.hpp>

#include <optional>
#include <utility>

namespace whence::inline v0 {

/// Owns a socket's descriptor outside of a runtime; closes it.
class socket_handle {
public:
    socket_handle() = default;
    explicit socket_handle(int fd) noexcept : fd_(fd) {}
    socket_handle(socket_handle&& other) noexcept : fd_(other.release()) {}
    socket_handle& operator=(socket_handle&& other) noexcept
    {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~socket_handle();

    int get() const noexcept { return fd_; }
    int release() noexcept { return std::exchange(fd_, -1); }

private:
    int fd_ = -1;
};

/// Configures a listening socket.
struct listen_options {
    int backlog = 4096;         // connections that wait for accept; the kernel's somaxconn caps it
    bool reuse_address = true;  // restart at once, past connections in TIME_WAIT
    bool v6_only = false;       // [::] serves IPv4 too, as ::ffff:a.b.c.d
    bool no_delay = true;       // accepted connections send small messages at once
};

/// Opens a listening stream socket.
/// errors: std::system_error naming the address and the step.
socket_handle open_listening_socket(const endpoint& local, const listen_options& options);

/// Opens a stream socket of the endpoint's family; of TCP with TCP_NODELAY.
/// errors: std::system_error.
socket_handle open_stream_socket(const endpoint& remote);

/// Tell a socket's ends, canonical; empty when the kernel does not know (the peer has gone).
endpoint peer_of(int fd);
endpoint local_of(int fd);

/// Names who runs the other end of a UNIX socket.
struct peer_credentials {
    u32 uid;
    u32 gid;
};
/// Asks the kernel: SO_PEERCRED, unix(7). Empty when it does not know.
std::optional<peer_credentials> peer_credentials_of(int fd) noexcept;

}  // namespace whence::inline v0

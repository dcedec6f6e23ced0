#pragma once

#include <whence/address/endpoint.hpp>
#include <whence/coro/time.hpp>
#include <whence/runtime/socket_calls.hpp>

#include <optional>
#include <utility>

namespace whence::inline v0 {

/// Owns a socket's descriptor outside of a runtime; closes it.
class socket_handle {
public:
    socket_handle() = default;
    /// Takes a descriptor of the running runtime's driver; outside of one, of the kernel.
    explicit socket_handle(int fd) noexcept : socket_handle(fd, internal::sockets_here()) {}
    socket_handle(int fd, socket_calls& of) noexcept : fd_(fd), of_(&of) {}
    socket_handle(socket_handle&& other) noexcept : fd_(other.release()), of_(other.of_) {}
    socket_handle& operator=(socket_handle&& other) noexcept
    {
        std::swap(fd_, other.fd_);
        std::swap(of_, other.of_);
        return *this;
    }
    ~socket_handle();

    int get() const noexcept { return fd_; }
    socket_calls& calls() const noexcept { return *of_; }
    int release() noexcept { return std::exchange(fd_, -1); }

private:
    int fd_ = -1;
    socket_calls* of_ = nullptr;
};

/// Says how the kernel finds out that a silent peer has gone: without that, a session whose peer
/// lost its power waits for ever. Probes also keep a balancer from forgetting an idle connection.
/// units: whole seconds, rounded up; the kernel takes up to 32,767 of them and 127 probes.
struct keep_alive_options {
    nanoseconds idle = 60s;  // silence before the first probe; zero: no probes. Azure's balancer
                             // forgets after 240 s, AWS' after 350 s
    nanoseconds interval = 15s;  // between unanswered probes
    u32 count = 4;               // unanswered probes until ETIMEDOUT: two minutes in all
};

/// Configures a listening socket. What concerns connections is set once, on the listening socket,
/// and inherited by every accepted one; a zero leaves it to the kernel.
/// source: socket(7), tcp(7), ipv6(7), unix(7).
struct listen_options {
    int backlog = 4096;         // connections that wait for accept; the kernel's somaxconn caps it
    bool reuse_address = true;  // restart at once, past connections in TIME_WAIT
    bool reuse_port = false;    // several listeners (clone()) share the port; so may any process of
                                // the same user, hence no default
    bool v6_only = false;       // [::] serves IPv4 too, as ::ffff:a.b.c.d

    // TCP only.
    bool no_delay = true;  // accepted connections send small messages at once
    keep_alive_options keep_alive;
    nanoseconds user_timeout{};  // for sent bytes to be acknowledged, in ms; replaces the probes'
                                 // count, too
    nanoseconds defer_accept{};  // accept when the client has spoken, or about this time has passed
    u32 fast_open = 0;       // data in the SYN, from so many at a time; needs bit 2 of the sysctl
                             // net.ipv4.tcp_fastopen
    u32 receive_buffer = 0;  // bytes; fixes what the kernel tunes by itself, and counts double
    u32 send_buffer = 0;

    // UNIX paths only. The default lets in the server's user and group: put the proxy's user into
    // it, or name the proxy's group. The path is unreachable until mode and owner are right.
    u32 unix_mode = 0660;
    std::optional<u32> unix_owner;  // user id; ours unless given. Needs CAP_CHOWN
    std::optional<u32> unix_group;  // group id; one of ours, or CAP_CHOWN
};

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

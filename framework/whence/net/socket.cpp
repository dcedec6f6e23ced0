#include <whence/net/socket.hpp>

#include <whence/net/socket_address.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace whence::inline v0 {

namespace {

[[noreturn]] void fail(const char* step, const endpoint& at)
{
    const int error = errno;
    throw std::system_error(error, std::system_category(), step + (" " + to_string(at)));
}

int family_of(const endpoint& at)
{
    if (at.is_unix())
        return AF_UNIX;
    return at.kind() == endpoint_kind::ipv6 ? AF_INET6 : AF_INET;
}

socket_handle open_socket(const endpoint& at)
{
    socket_handle opened{::socket(family_of(at), SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (opened.get() < 0)
        fail("socket for", at);
    return opened;
}

void set(const socket_handle& socket, int level, int name, bool value, const char* step,
         const endpoint& at)
{
    const int as_int = value ? 1 : 0;
    if (setsockopt(socket.get(), level, name, &as_int, sizeof as_int) != 0)
        fail(step, at);
}

template <class Ask>
endpoint ask(int fd, Ask asked)
{
    internal::socket_address address;
    address.size = sizeof address.storage;
    if (asked(fd, address.get(), &address.size) != 0)
        return {};
    return internal::from_socket_address(address).canonical();
}

}  // namespace

socket_handle::~socket_handle()
{
    if (fd_ >= 0)
        ::close(fd_);
}

socket_handle open_listening_socket(const endpoint& local, const listen_options& options)
{
    socket_handle opened = open_socket(local);
    if (local.is_ip()) {
        set(opened, SOL_SOCKET, SO_REUSEADDR, options.reuse_address, "SO_REUSEADDR on", local);
        set(opened, IPPROTO_TCP, TCP_NODELAY, options.no_delay, "TCP_NODELAY on", local);
    }
    if (local.kind() == endpoint_kind::ipv6)
        set(opened, IPPROTO_IPV6, IPV6_V6ONLY, options.v6_only, "IPV6_V6ONLY on", local);
    const internal::socket_address address = internal::to_socket_address(local);
    if (::bind(opened.get(), address.get(), address.size) != 0)
        fail("bind", local);
    if (::listen(opened.get(), options.backlog) != 0)
        fail("listen on", local);
    return opened;
}

socket_handle open_stream_socket(const endpoint& remote)
{
    socket_handle opened = open_socket(remote);
    if (remote.is_ip())
        set(opened, IPPROTO_TCP, TCP_NODELAY, true, "TCP_NODELAY on", remote);
    return opened;
}

endpoint peer_of(int fd)
{
    return ask(fd, ::getpeername);
}
endpoint local_of(int fd)
{
    return ask(fd, ::getsockname);
}

std::optional<peer_credentials> peer_credentials_of(int fd) noexcept
{
    ucred known{};
    socklen_t size = sizeof known;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &known, &size) != 0)
        return std::nullopt;
    return peer_credentials{known.uid, known.gid};
}

}  // namespace whence::inline v0

#include <whence/net/socket.hpp>

#include <whence/address/socket_address.hpp>
#include <whence/net/socket_setup.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <system_error>

namespace whence::inline v0 {

namespace {

int family_of(const endpoint& at)
{
    if (at.is_unix())
        return AF_UNIX;
    return at.kind() == endpoint_kind::ipv6 ? AF_INET6 : AF_INET;
}

using end_of_socket = int (socket_calls::*)(int, internal::socket_address&) noexcept;

endpoint ask(int fd, end_of_socket which)
{
    internal::socket_address address;
    if ((internal::sockets_here().*which)(fd, address) < 0)
        return {};
    return internal::from_socket_address(address).canonical();
}

}  // namespace

socket_handle::~socket_handle()
{
    if (fd_ >= 0)
        of_->close(fd_);
}

socket_handle open_stream_socket(const endpoint& remote)
{
    socket_handle opened = internal::open_socket(remote);
    if (remote.is_ip())
        internal::set_option(opened.get(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY on", remote);
    return opened;
}

namespace internal {

void fail_at(const char* step, const endpoint& at, int error, const char* why)
{
    std::string what = step + (" " + to_string(at));
    if (why)
        what.append(": ").append(why);
    throw std::system_error(error, std::system_category(), what);
}

socket_handle open_socket(const endpoint& at)
{
    const int fd = sockets_here().open(family_of(at), SOCK_STREAM);
    if (fd < 0)
        fail_at("socket for", at, -fd);
    return socket_handle{fd};
}

void set_option(int fd, int level, int name, int value, const char* step, const endpoint& at)
{
    if (const int error = sockets_here().set_option(fd, level, name, &value, sizeof value))
        fail_at(step, at, -error);
}

std::optional<int> option_of(int fd, int level, int name) noexcept
{
    int value = 0;
    u32 size = sizeof value;
    if (sockets_here().option(fd, level, name, &value, size) != 0)
        return std::nullopt;
    return value;
}

}  // namespace internal

endpoint peer_of(int fd)
{
    return ask(fd, &socket_calls::peer);
}
endpoint local_of(int fd)
{
    return ask(fd, &socket_calls::local);
}

std::optional<peer_credentials> peer_credentials_of(int fd) noexcept
{
    ucred known{};
    u32 size = sizeof known;
    if (internal::sockets_here().option(fd, SOL_SOCKET, SO_PEERCRED, &known, size) != 0)
        return std::nullopt;
    return peer_credentials{known.uid, known.gid};
}

}  // namespace whence::inline v0

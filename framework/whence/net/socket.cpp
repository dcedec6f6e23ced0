#include <whence/net/socket.hpp>

#include <whence/net/socket_address.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

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
    socket_handle opened{::socket(family_of(at), SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (opened.get() < 0)
        fail_at("socket for", at, errno);
    return opened;
}

void set_option(int fd, int level, int name, int value, const char* step, const endpoint& at)
{
    if (setsockopt(fd, level, name, &value, sizeof value) != 0)
        fail_at(step, at, errno);
}

std::optional<int> option_of(int fd, int level, int name) noexcept
{
    int value = 0;
    socklen_t size = sizeof value;
    if (getsockopt(fd, level, name, &value, &size) != 0)
        return std::nullopt;
    return value;
}

}  // namespace internal

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

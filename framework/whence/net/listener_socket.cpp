#include <whence/net/listener_socket.hpp>

#include <whence/address/socket_address.hpp>
#include <whence/net/held_address.hpp>
#include <whence/net/socket_setup.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>
#include <system_error>

namespace whence::inline v0::internal {

namespace {

constexpr int protocol_mptcp = 262;  // IPPROTO_MPTCP, which older C libraries do not know

/// Gives a duration in a kernel's unit, rounded up: what was asked for must not become "off".
template <class Unit>
int whole(nanoseconds time) noexcept
{
    const auto count = std::chrono::ceil<Unit>(std::max(time, nanoseconds::zero())).count();
    return static_cast<int>(std::min<i64>(count, std::numeric_limits<int>::max()));
}

int capped(u32 number) noexcept
{
    return static_cast<int>(std::min<u32>(number, std::numeric_limits<int>::max()));
}

/// Sets what accepted connections inherit. One by one, so that an error can name the option.
void set_tcp_options(int fd, const endpoint& at, const listen_options& options)
{
    struct row {
        int level;
        int name;
        int value;
        const char* step;
        bool always = false;  // not only when it is not zero
    };
    const keep_alive_options& alive = options.keep_alive;
    const bool probes = alive.idle > nanoseconds::zero();
    const row rows[]{
        {IPPROTO_TCP, TCP_NODELAY, options.no_delay, "TCP_NODELAY on", true},
        {SOL_SOCKET, SO_KEEPALIVE, probes, "SO_KEEPALIVE on", true},
        {IPPROTO_TCP, TCP_KEEPIDLE, whole<seconds>(alive.idle), "keep_alive.idle on"},
        {IPPROTO_TCP, TCP_KEEPINTVL, probes ? whole<seconds>(alive.interval) : 0,
         "keep_alive.interval on", probes},
        {IPPROTO_TCP, TCP_KEEPCNT, probes ? capped(alive.count) : 0, "keep_alive.count on", probes},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, whole<milliseconds>(options.user_timeout),
         "user_timeout on"},
        {IPPROTO_TCP, TCP_DEFER_ACCEPT, whole<seconds>(options.defer_accept), "defer_accept on"},
        {IPPROTO_TCP, TCP_FASTOPEN, capped(options.fast_open), "fast_open on"},
        {SOL_SOCKET, SO_RCVBUF, capped(options.receive_buffer), "receive_buffer on"},
        {SOL_SOCKET, SO_SNDBUF, capped(options.send_buffer), "send_buffer on"},
    };
    for (const row& each : rows) {
        if (each.always || each.value != 0)
            set_option(fd, each.level, each.name, each.value, each.step, at);
    }
}

void start_listening(int fd, const endpoint& local, const listen_options& options)
{
    if (const int error = sockets_here().listen(fd, options.backlog))
        fail_at("listen on", local, -error);
}

void bind_and_listen(listener_socket& opened, const endpoint& local, const listen_options& options)
{
    const int fd = opened.handle.get();
    const socket_address address = to_socket_address(local);
    int error = 0;
    try_while_held([&] {
        error = -sockets_here().bind(fd, address);
        return error != EADDRINUSE;
    });
    if (error != 0)
        fail_at("bind", local, error);
    if (local.kind() == endpoint_kind::unix_path) {
        // Nobody can connect before the socket listens: mode and owner are right by then.
        opened.path = socket_path{local};
        opened.path.restrict(local, options);
    }
    start_listening(fd, local, options);
}

[[noreturn]] void refuse(int fd, int error, const char* why)
{
    throw std::system_error(error, std::system_category(),
                            "adopt descriptor " + std::to_string(fd) + ": " + why);
}

}  // namespace

listener_socket open_listener_socket(const endpoint& local, const listen_options& options)
{
    if (local.is_unix() && local.unix_name().empty())
        fail_at("bind", local, EINVAL, "a UNIX socket needs a name to be found by");
    listener_socket opened{open_socket(local), {}};
    std::optional<path_claim> claim;
    if (local.kind() == endpoint_kind::unix_path)
        claim.emplace(local);
    const int fd = opened.handle.get();
    if (local.is_ip()) {
        set_option(fd, SOL_SOCKET, SO_REUSEADDR, options.reuse_address, "SO_REUSEADDR on", local);
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, options.reuse_port, "SO_REUSEPORT on", local);
        set_tcp_options(fd, local, options);
    }
    if (local.kind() == endpoint_kind::ipv6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, options.v6_only, "IPV6_V6ONLY on", local);
    bind_and_listen(opened, local, options);
    return opened;
}

void adopt_listener_socket(int fd, const listen_options& options)
{
    struct stat file{};
    if (fstat(fd, &file) != 0)
        refuse(fd, errno, "it is not open");
    if (!S_ISSOCK(file.st_mode))
        refuse(fd, ENOTSOCK, "it is no socket");
    if (option_of(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM)
        refuse(fd, EPROTOTYPE, "it is no stream socket");
    const int domain = option_of(fd, SOL_SOCKET, SO_DOMAIN).value_or(-1);
    const int protocol = option_of(fd, SOL_SOCKET, SO_PROTOCOL).value_or(-1);
    const bool is_tcp = (domain == AF_INET || domain == AF_INET6) &&
                        (protocol == IPPROTO_TCP || protocol == protocol_mptcp);
    if (!is_tcp && domain != AF_UNIX)
        refuse(fd, EPROTONOSUPPORT, "it is neither TCP nor UNIX");
    if (option_of(fd, SOL_SOCKET, SO_ACCEPTCONN) != 1)
        refuse(fd, EINVAL, "it does not listen");
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        refuse(fd, errno, "its flags cannot be set");
    const endpoint local = local_of(fd);
    if (is_tcp)
        set_tcp_options(fd, local, options);
    start_listening(fd, local, options);
}

listen_options options_of_clone(int fd, const endpoint& local, listen_options options)
{
    if (!local.is_ip())
        fail_at("clone the listener at", local, EOPNOTSUPP, "only TCP ports can be shared");
    // The socket is asked, since somebody else may have opened it.
    if (option_of(fd, SOL_SOCKET, SO_REUSEPORT).value_or(0) == 0)
        fail_at("clone the listener at", local, EADDRINUSE, "it was opened without reuse_port");
    options.reuse_port = true;
    options.v6_only = option_of(fd, IPPROTO_IPV6, IPV6_V6ONLY).value_or(0) != 0;
    return options;
}

}  // namespace whence::inline v0::internal

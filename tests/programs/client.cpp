#include "programs/client.hpp"

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace support {

namespace {

using steady = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& step)
{
    throw std::system_error(errno, std::system_category(), step);
}

struct socket_address {
    sockaddr_storage storage{};
    socklen_t size = sizeof(sockaddr_storage);

    sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

socket_address ip_address(const std::string& host, unsigned short port)
{
    socket_address made;
    auto* v4 = reinterpret_cast<sockaddr_in*>(&made.storage);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&made.storage);
    if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        made.size = sizeof *v4;
    } else if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        made.size = sizeof *v6;
    } else {
        throw std::invalid_argument("no address: " + host);
    }
    return made;
}

socket_address parse(const std::string& text)
{
    if (text.starts_with("unix:")) {
        socket_address made;
        auto* name = reinterpret_cast<sockaddr_un*>(&made.storage);
        name->sun_family = AF_UNIX;
        const std::string path = text.substr(5);
        std::memcpy(name->sun_path, path.c_str(), path.size() + 1);
        made.size = sizeof *name;
        return made;
    }
    const std::size_t colon = text.rfind(':');
    const bool brackets = text.front() == '[';
    return ip_address(text.substr(brackets, colon - 2 * std::size_t{brackets}),
                      static_cast<unsigned short>(std::stoi(text.substr(colon + 1))));
}

std::string print(const socket_address& address)
{
    char host[INET6_ADDRSTRLEN] = "";
    if (address.storage.ss_family == AF_INET6) {
        const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        return "[" + std::string{host} + "]:" + std::to_string(ntohs(v6->sin6_port));
    }
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    return std::string{host} + ":" + std::to_string(ntohs(v4->sin_port));
}

std::string own_address(int fd)
{
    socket_address own;
    if (getsockname(fd, own.get(), &own.size) != 0)
        fail("getsockname");
    return print(own);
}

void set(int fd, int level, int name, int value)
{
    if (setsockopt(fd, level, name, &value, sizeof value) != 0)
        fail("setsockopt");
}

/// Waits for the descriptor until a point in time; false: it was reached.
bool wait_for(int fd, short events, steady::time_point until)
{
    for (;;) {
        const auto left = std::chrono::ceil<milliseconds>(until - steady::now());
        pollfd on{fd, events, 0};
        const int count = ::poll(&on, 1, static_cast<int>(std::max(left.count(), 0L)));
        if (count >= 0 || errno != EINTR)
            return count > 0;
    }
}

}  // namespace

client::client(const std::string& address, const client_options& options)
{
    socket_address to = parse(address);
    fd_ = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0)
        fail("socket");
    try {
        if (options.receive_buffer_size != 0)
            set(fd_, SOL_SOCKET, SO_RCVBUF, options.receive_buffer_size);
        if (options.send_buffer_size != 0)
            set(fd_, SOL_SOCKET, SO_SNDBUF, options.send_buffer_size);
        if (!options.source.empty()) {
            socket_address from = ip_address(options.source, 0);
            set(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
            if (::bind(fd_, from.get(), from.size) != 0)
                fail("bind " + options.source);
        }
        // Bounds connect() as well: it gives EINPROGRESS when the time is over.
        const timeval limit{.tv_sec = step_time_max.count() / 1000, .tv_usec = 0};
        if (setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)
            fail("SO_SNDTIMEO");
        if (::connect(fd_, to.get(), to.size) != 0)
            fail("connect " + address);
        if (to.storage.ss_family != AF_UNIX)
            set(fd_, IPPROTO_TCP, TCP_NODELAY, 1);
    } catch (...) {
        close();
        throw;
    }
}

client::client(client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffered_(std::move(other.buffered_))
{}

client& client::operator=(client&& other) noexcept
{
    std::swap(fd_, other.fd_);
    std::swap(buffered_, other.buffered_);
    return *this;
}

client::~client()
{
    close();
}

void client::close() noexcept
{
    if (fd_ >= 0)
        ::close(fd_);
    fd_ = -1;
}

void client::finish() noexcept
{
    ::shutdown(fd_, SHUT_WR);
}

void client::reset() noexcept
{
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
}

bool client::send(std::string_view bytes, milliseconds time_max)
{
    const auto until = steady::now() + time_max;
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        else if (errno != EAGAIN || !wait_for(fd_, POLLOUT, until))
            return false;
    }
    return true;
}

bool client::send_one_by_one(std::string_view bytes)
{
    for (const char& byte : bytes) {
        if (!send({&byte, 1}))
            return false;
    }
    return true;
}

std::size_t client::send_until_full(std::size_t size_max)
{
    const std::string block(std::min<std::size_t>(size_max, 65536), 'x');
    std::size_t total = 0;
    while (total < size_max) {
        const ssize_t sent = ::send(fd_, block.data(), std::min(block.size(), size_max - total),
                                    MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0)
            break;
        total += static_cast<std::size_t>(sent);
    }
    return total;
}

/// Reads once, or says why there is no more. kept_open: something came.
ending client::fill(steady::time_point until)
{
    char bytes[65536];
    if (!wait_for(fd_, POLLIN, until))
        return ending::timed_out;
    const ssize_t count = ::recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
    if (count == 0)
        return ending::closed;
    if (count < 0)
        return errno == EAGAIN ? ending::kept_open : ending::reset;
    buffered_.append(bytes, static_cast<std::size_t>(count));
    return ending::kept_open;
}

std::string client::read_line(milliseconds time_max)
{
    const auto until = steady::now() + time_max;
    std::size_t end;
    while ((end = buffered_.find('\n')) == std::string::npos) {
        if (fill(until) != ending::kept_open)
            return std::exchange(buffered_, {});
    }
    std::string line = buffered_.substr(0, end);
    buffered_.erase(0, end + 1);
    return line;
}

std::string client::read_exactly(std::size_t count, milliseconds time_max)
{
    const auto until = steady::now() + time_max;
    while (buffered_.size() < count && fill(until) == ending::kept_open) {
    }
    std::string bytes = buffered_.substr(0, count);
    buffered_.erase(0, count);
    return bytes;
}

received client::read_to_end(milliseconds time_max)
{
    const auto until = steady::now() + time_max;
    ending how;
    do
        how = fill(until);
    while (how == ending::kept_open);
    return {std::exchange(buffered_, {}), how};
}

bool client::wait_readable(milliseconds time_max)
{
    return wait_for(fd_, POLLIN, steady::now() + time_max);
}

std::string client::local() const
{
    return own_address(fd_);
}

listening listen_at(const std::string& host)
{
    socket_address at = ip_address(host, 0);
    const int fd = ::socket(at.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    if (::bind(fd, at.get(), at.size) != 0 || ::listen(fd, 1024) != 0) {
        ::close(fd);
        fail("listen at " + host);
    }
    return {fd, own_address(fd)};
}

std::string free_address(const std::string& host)
{
    const listening taken = listen_at(host);
    ::close(taken.fd);
    return taken.address;
}

}  // namespace support

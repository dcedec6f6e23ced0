#pragma once
// A whence server in this thread and plain sockets in another one.

#include <whence/whence.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace bench {

[[noreturn]] inline void fail(const char* what)
{
    std::perror(what);
    std::_Exit(2);
}

/// Is a blocking client connection.
class client {
public:
    explicit client(whence::u16 port) : fd_(::socket(AF_INET, SOCK_STREAM, 0))
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int on = 1;
        setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            fail("connect");
    }
    client(client&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    client& operator=(client&&) = delete;
    ~client()
    {
        if (fd_ >= 0)
            ::close(fd_);
    }

    void send(std::string_view text) const
    {
        if (::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) != std::ssize(text))
            fail("send");
    }
    /// Reads exactly `size` bytes, or up to the end.
    std::string_view receive(char* into, std::size_t size) const
    {
        const ssize_t got = ::recv(fd_, into, size, MSG_WAITALL);
        if (got < 0)
            fail("recv");
        return {into, static_cast<std::size_t>(got)};
    }

private:
    int fd_;
};

/// Serves `app` in a new runtime while `work(port)` runs in another thread; returns when both have
/// ended. `work` ends the server: some session of it calls drain().set().
template <class App, class Work>
void serve_and(App app, Work work, whence::driver_choice driver = whence::driver_choice::automatic)
{
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    std::vector<whence::listener> listeners;
    listeners.push_back(whence::listener::bind("127.0.0.1:0"));
    const whence::u16 port = listeners.front().local().port();
    std::thread other{[&work, port] { work(port); }};
    whence::runtime here{whence::open_driver(driver)};
    here.run(whence::serve(std::move(listeners), whence::make_application(std::move(app))));
    other.join();
}

}  // namespace bench

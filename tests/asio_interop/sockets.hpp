#pragma once

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <exception>
#include <string>
#include <string_view>

namespace support {

using asio::ip::tcp;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

/// Holds both ends of one TCP connection on loopback.
struct tcp_pair {
    explicit tcp_pair(asio::io_context& io) : client(io), server(io)
    {
        tcp::acceptor at{io, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
        client.connect(at.local_endpoint());
        server = at.accept();
    }
    tcp::socket client;
    tcp::socket server;
};

inline void send(tcp::socket& from, std::string_view bytes)
{
    asio::write(from, asio::buffer(bytes));
}

/// Runs what there is to do, bounded in time; all of it must end.
inline void run_to_end(asio::io_context& io)
{
    io.restart();
    io.run_for(20s);
    REQUIRE(io.stopped());
}

/// A completion handler for what must not fail unseen.
inline void rethrow(const std::exception_ptr& error)
{
    if (error)
        std::rethrow_exception(error);
}

/// Runs an Asio coroutine to its end.
inline void run_to_end(asio::io_context& io, asio::awaitable<void> work)
{
    asio::co_spawn(io, std::move(work), rethrow);
    run_to_end(io);
}

}  // namespace support

// The second comparison of bench/echo.py: the same server with Asio's coroutines over epoll.
//
//   bench/echo_asio 127.0.0.1:7002

#include <asio.hpp>

#include <array>
#include <cstdlib>
#include <string>

namespace {

using asio::use_awaitable;
using asio::ip::tcp;

asio::awaitable<void> echo(tcp::socket client)
{
    std::array<char, 4096> bytes;
    try {
        for (;;) {
            const std::size_t size =
                co_await client.async_read_some(asio::buffer(bytes), use_awaitable);
            co_await asio::async_write(client, asio::buffer(bytes, size), use_awaitable);
        }
    } catch (const std::system_error&) {
        // The client has gone.
    }
}

asio::awaitable<void> accept_from(tcp::acceptor& from)
{
    for (;;) {
        tcp::socket client = co_await from.async_accept(use_awaitable);
        client.set_option(tcp::no_delay(true));
        asio::co_spawn(from.get_executor(), echo(std::move(client)), asio::detached);
    }
}

}  // namespace

int main(int count, char** arguments)
{
    const std::string text = count > 1 ? arguments[1] : "127.0.0.1:7002";
    const std::size_t colon = text.rfind(':');
    asio::io_context context{1};  // one thread: no locks
    tcp::acceptor acceptor{context,
                           {asio::ip::make_address(text.substr(0, colon)),
                            static_cast<asio::ip::port_type>(std::atoi(text.c_str() + colon + 1))}};
    asio::co_spawn(context, accept_from(acceptor), asio::detached);
    context.run();
}

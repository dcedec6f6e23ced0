// asio_whoami: a plain Asio server that becomes PROXY-aware in a few lines: those of who_comes().
// It answers each client with one JSON line that tells whom it takes it for, then sends back every
// byte until the client stops talking.
//
//   build/release/examples/asio_whoami --listen 127.0.0.1:7000 --trust 127.0.0.1
//   printf 'PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\nhello' | nc -N 127.0.0.1 7000
//       ->  {"client":"203.0.113.7:4242","server":"198.51.100.1:443","peer":"127.0.0.1:40112",...}
//           hello
#include <whence/asio_interop/endpoint.hpp>
#include <whence/asio_interop/read_header.hpp>
#include <whence/runtime/json_line.hpp>

#include <CLI/CLI.hpp>
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include <cstdio>

namespace {

using asio::ip::tcp;
using whence::asio_interop::header_options;
using whence::asio_interop::received_header;

void log(const whence::json_object& line)
{
    std::fprintf(stderr, "%s\n", line.text().c_str());
}

/// Reads the header that a proxy must send; nothing: the peer was refused, and the log says why.
asio::awaitable<std::optional<received_header>> who_comes(tcp::socket& socket,
                                                          const header_options& proxies)
{
    std::error_code error;
    received_header header = co_await whence::asio_interop::async_read_header(
        socket, proxies, asio::redirect_error(asio::use_awaitable, error));
    if (!error)
        co_return std::move(header);
    log(whence::json_line("refused")
            .add("peer", header.peer())
            .add("reason", whence::asio_interop::reason_of(error))
            .add("error", error.message())
            .add("detail", header.detail()));
    co_return std::nullopt;
}

std::string introduce(const received_header& header)
{
    return whence::json_object{}
               .add("client", header.client())
               .add("server", header.server())
               .add("peer", header.peer())
               .add("local", header.local())
               .add("origin", to_string(header.origin()))
               .text() +
           '\n';
}

asio::awaitable<void> session(tcp::socket socket, const header_options& proxies)
{
    std::optional<received_header> header = co_await who_comes(socket, proxies);
    if (!header)
        co_return;
    // What came with the header is the client's, and the first to be answered.
    const std::string answer = introduce(*header) + header->rest();
    header.reset();
    try {
        co_await asio::async_write(socket, asio::buffer(answer), asio::use_awaitable);
        std::array<char, 4096> bytes{};
        for (;;) {
            const std::size_t count =
                co_await socket.async_read_some(asio::buffer(bytes), asio::use_awaitable);
            co_await asio::async_write(socket, asio::buffer(bytes, count), asio::use_awaitable);
        }
    } catch (const std::system_error&) {
        // The client has said all, or has gone.
    }
}

asio::awaitable<void> serve(tcp::acceptor acceptor, const header_options& proxies)
{
    for (;;) {
        std::error_code error;
        tcp::socket socket =
            co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
        if (!error) {
            asio::co_spawn(acceptor.get_executor(), session(std::move(socket), proxies),
                           asio::detached);
            continue;
        }
        // Out of descriptors, most likely: sessions that end give some back.
        log(whence::json_line("accept_failed").add("error", error.message()));
        asio::steady_timer pause{acceptor.get_executor(), std::chrono::milliseconds{100}};
        co_await pause.async_wait(asio::use_awaitable);
    }
}

tcp::acceptor listen(asio::io_context& io, const std::string& address)
{
    const auto parsed = whence::endpoint::parse(address);
    if (!parsed)
        throw std::invalid_argument(parsed.error());
    if (!parsed->is_ip())
        throw std::invalid_argument("\"" + address + "\": an IP address and a port is wanted");
    return tcp::acceptor{io, whence::asio_interop::to_ip_endpoint(*parsed)};
}

int run(const std::string& address, const std::vector<std::string>& trust)
{
    asio::io_context io{1};
    const header_options proxies{.trust = whence::proxy_protocol::trust_table{trust}};
    tcp::acceptor acceptor = listen(io, address);
    const auto line =
        whence::json_line("listening")
            .add("address", whence::asio_interop::to_endpoint(acceptor.local_endpoint()));
    std::printf("%s\n", line.text().c_str());
    std::fflush(stdout);

    asio::signal_set signals{io, SIGINT, SIGTERM};
    signals.async_wait([&io](std::error_code, int) { io.stop(); });
    asio::co_spawn(io, serve(std::move(acceptor), proxies), asio::detached);
    io.run();
    return 0;
}

}  // namespace

int main(int count, char** arguments)
{
    constexpr int usage_error = 2;
    CLI::App app{"Tells each client where it comes from, then echoes: in Asio."};
    std::string address = "127.0.0.1:7000";
    std::vector<std::string> trust;
    app.add_option("--listen", address, "Address and port")->capture_default_str();
    app.add_option("--trust", trust,
                   "Network or address that must send a PROXY header, everyone else is refused; "
                   "repeatable")
        ->type_name("WHO")
        ->expected(1)
        ->take_all()
        ->required();
    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : usage_error;
    }
    try {
        return run(address, trust);
    } catch (const std::invalid_argument& error) {
        std::fprintf(stderr, "asio_whoami: %s\n", error.what());
        return usage_error;
    } catch (const std::exception& error) {
        log(whence::json_line("error").add("error", error.what()));
        return 1;
    }
}

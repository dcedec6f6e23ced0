#include <whence/asio_interop/read_header.hpp>

#include "asio_interop/sockets.hpp"

#include <asio/as_tuple.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/detached.hpp>
#include <asio/local/connect_pair.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/strand.hpp>
#include <asio/use_future.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <thread>

#include <unistd.h>

using namespace support;
using namespace whence;
using asio_interop::async_read_header;
using asio_interop::header_error;
using asio_interop::received_header;

namespace {

using namespace std::string_view_literals;

constexpr std::string_view v1 = "PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\n";
constexpr std::string_view v2 = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14"
                                "\xcb\0\x71\x07\xc6\x33\x64\x01\x10\x92\x01\xbb"
                                "\x02\0\x05hello"sv;
constexpr std::string_view v2_local = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"sv;

const asio_interop::header_options trusting{.trust = {"127.0.0.0/8"}};

/// Keeps what async_read_header() completed with.
struct outcome {
    bool called = false;
    std::error_code error;
    received_header header;

    auto handler()
    {
        return [this](std::error_code with, received_header received) {
            CHECK_FALSE(called);
            called = true;
            error = with;
            header = std::move(received);
        };
    }
};

/// Reads one header from what a client sends before it says no more.
outcome read_from(std::string_view bytes, const asio_interop::header_options& options = trusting)
{
    asio::io_context io;
    tcp_pair pair{io};
    send(pair.client, bytes);
    pair.client.shutdown(tcp::socket::shutdown_send);
    outcome got;
    async_read_header(pair.server, options, got.handler());
    CHECK_FALSE(got.called);
    run_to_end(io);
    REQUIRE(got.called);
    CHECK(pair.server.is_open());
    return got;
}

/// Gives its parts, one for each read, then the end; a part must fit.
class scripted_stream {
public:
    using executor_type = asio::io_context::executor_type;

    scripted_stream(asio::io_context& io, std::vector<std::string> parts)
        : io_(io), parts_(std::move(parts))
    {}

    executor_type get_executor() const noexcept { return io_.get_executor(); }

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& into, Token&& token)
    {
        return asio::async_initiate<Token, void(std::error_code, std::size_t)>(
            [this, into](auto handler) {
                if (next_ == parts_.size()) {
                    asio::post(io_, asio::append(std::move(handler),
                                                 std::error_code{asio::error::eof}, 0u));
                    return;
                }
                const std::string& part = parts_[next_++];
                const std::size_t count = asio::buffer_copy(into, asio::buffer(part));
                REQUIRE(count == part.size());
                asio::post(io_, asio::append(std::move(handler), std::error_code{}, count));
            },
            token);
    }

    std::string unread() const
    {
        std::string all;
        for (std::size_t i = next_; i < parts_.size(); ++i)
            all += parts_[i];
        return all;
    }

private:
    asio::io_context& io_;
    std::vector<std::string> parts_;
    std::size_t next_ = 0;
};

const asio_interop::stream_ends scripted_ends{*endpoint::parse("127.0.0.1:1000"),
                                              *endpoint::parse("127.0.0.1:7000")};

}  // namespace

TEST_CASE("a header from a trusted peer names the client", "[asio_interop]")
{
    const std::string_view header = GENERATE(v1, v2);
    const outcome got = read_from(std::string{header} + "GET /");
    REQUIRE_FALSE(got.error);
    CHECK(to_string(got.header.client()) == "203.0.113.7:4242");
    CHECK(to_string(got.header.server()) == "198.51.100.1:443");
    CHECK(to_string(got.header.peer().address()) == "127.0.0.1");
    CHECK(got.header.origin() == origin::proxied);
    CHECK(got.header.rest() == "GET /");
    REQUIRE(got.header.header());
    CHECK(got.header.header()->size() == header.size());
    if (header == v2)
        CHECK(got.header.header()->tlvs().authority() == "hello");
}

TEST_CASE("a header that names nobody leaves the peer as the client", "[asio_interop]")
{
    const outcome local = read_from(std::string{v2_local} + "x");
    REQUIRE_FALSE(local.error);
    CHECK(local.header.origin() == origin::local);
    CHECK(local.header.client() == local.header.peer());
    CHECK(local.header.server() == local.header.local());
    CHECK(local.header.rest() == "x");

    const outcome unknown = read_from("PROXY UNKNOWN\r\nx");
    REQUIRE_FALSE(unknown.error);
    CHECK(unknown.header.origin() == origin::unknown);
    CHECK(unknown.header.client() == unknown.header.peer());
}

TEST_CASE("a header arrives in any two parts, and nothing behind it is lost", "[asio_interop]")
{
    const std::string_view header = GENERATE(v1, v2);
    const std::string all = std::string{header} + "payload";
    for (std::size_t split = 1; split < all.size(); ++split) {
        CAPTURE(split);
        asio::io_context io;
        scripted_stream stream{io, {all.substr(0, split), all.substr(split)}};
        outcome got;
        async_read_header(stream, scripted_ends, trusting, got.handler());
        run_to_end(io);
        REQUIRE(got.called);
        REQUIRE_FALSE(got.error);
        CHECK(to_string(got.header.client()) == "203.0.113.7:4242");
        CHECK(got.header.rest() + stream.unread() == "payload");
    }
}

TEST_CASE("a header arrives byte by byte, also a long one", "[asio_interop]")
{
    std::string header{v2.substr(0, 14)};
    header += "\x04\0"sv;  // 1,024 bytes: 12 of addresses, a NOOP entry for the rest
    header += v2.substr(16, 12);
    header += "\x04\x03\xf1"sv;
    header.resize(16 + 1024, '\0');
    std::vector<std::string> parts;
    for (const char each : header + "rest")
        parts.emplace_back(1, each);
    asio::io_context io;
    scripted_stream stream{io, parts};
    outcome got;
    async_read_header(stream, scripted_ends, trusting, got.handler());
    run_to_end(io);
    REQUIRE_FALSE(got.error);
    CHECK(to_string(got.header.client()) == "203.0.113.7:4242");
    CHECK(got.header.rest() + stream.unread() == "rest");
}

TEST_CASE("a peer that is not trusted is refused before a byte is read", "[asio_interop]")
{
    asio::io_context io;
    tcp_pair pair{io};
    send(pair.client, v1);
    outcome got;
    async_read_header(pair.server, {.trust = {"192.0.2.1"}}, got.handler());
    CHECK_FALSE(got.called);
    run_to_end(io);
    CHECK(got.error == header_error::untrusted);
    CHECK(got.error.message() == "untrusted peer: the trust table refuses it");
    CHECK(got.error.category().name() == "whence.header"sv);
    CHECK(got.header.rest().empty());
    // The socket is still the caller's, and so is all that was sent.
    std::string bytes(v1.size(), '\0');
    asio::read(pair.server, asio::buffer(bytes));
    CHECK(bytes == v1);
}

TEST_CASE("a peer that may come directly is served as itself, unread", "[asio_interop]")
{
    asio::io_context io;
    tcp_pair pair{io};
    send(pair.client, v1);
    asio_interop::header_options options{.trust = {"192.0.2.1"}};
    options.trust.others(proxy_protocol::trust_outcome::direct);
    outcome got;
    async_read_header(pair.server, options, got.handler());
    run_to_end(io);
    REQUIRE_FALSE(got.error);
    CHECK(got.header.origin() == origin::direct);
    CHECK(got.header.client() == got.header.peer());
    CHECK(got.header.client().port() == pair.client.local_endpoint().port());
    CHECK_FALSE(got.header.header());
    CHECK(pair.server.available() == v1.size());
}

TEST_CASE("what is no header is refused by name", "[asio_interop]")
{
    const outcome http = read_from("GET / HTTP/1.1\r\n\r\n");
    CHECK(http.error == header_error::malformed);
    CHECK(http.error != header_error::too_large);
    CHECK(http.error.message() == "malformed PROXY header (no_signature)");
    CHECK(http.header.detail() ==
          "no_signature at byte 0; HTTP request where a PROXY header was required");
    CHECK(http.header.rest() == "GET / HTTP/1.1\r\n\r\n");

    const outcome command = read_from("\r\n\r\n\0\r\nQUIT\n\x22\x11\0\x0c"sv);
    CHECK(command.error == header_error::malformed);
    CHECK(command.error.message() == "malformed PROXY header (v2_command)");
    CHECK(command.header.detail() == "v2_command at byte 12");

    const outcome large = read_from(v2, {.trust = {"127.0.0.1"}, .header = {.size_max = 12}});
    CHECK(large.error == header_error::too_large);
    CHECK(large.error.message() == "too large a PROXY header");
}

TEST_CASE("a stream that ends too early is told apart", "[asio_interop]")
{
    const outcome nothing = read_from("");
    CHECK(nothing.error == header_error::closed);
    const outcome some = read_from(v2.substr(0, 20));
    CHECK(some.error == header_error::truncated);
    CHECK(some.header.detail() == "after 20 bytes of the header");
    CHECK(some.header.rest() == v2.substr(0, 20));
}

TEST_CASE("a reset is the socket's own error", "[asio_interop]")
{
    asio::io_context io;
    tcp_pair pair{io};
    outcome got;
    async_read_header(pair.server, trusting, got.handler());
    io.poll();
    pair.client.set_option(asio::socket_base::linger{true, 0});
    pair.client.close();
    run_to_end(io);
    CHECK(got.error == asio::error::connection_reset);
}

TEST_CASE("a header has its time, however many parts come", "[asio_interop]")
{
    const std::string_view sent = GENERATE(""sv, "PROXY TCP4 203."sv);
    asio::io_context io;
    tcp_pair pair{io};
    send(pair.client, sent);
    outcome got;
    async_read_header(pair.server, {.trust = {"127.0.0.1"}, .header = {.time_max = 30ms}},
                      got.handler());
    const auto start = std::chrono::steady_clock::now();
    run_to_end(io);
    CHECK(std::chrono::steady_clock::now() - start >= 30ms);
    CHECK(got.error == header_error::too_late);
    CHECK(got.error.message() == "PROXY header too late");
    CHECK(got.header.detail() == "after " + std::to_string(sent.size()) + " bytes of the header");
    CHECK(got.header.rest() == sent);
    CHECK(pair.server.is_open());
}

TEST_CASE("never is a time, too", "[asio_interop]")
{
    const outcome got =
        read_from(v1, {.trust = {"127.0.0.1"}, .header = {.time_max = nanoseconds::max()}});
    CHECK_FALSE(got.error);
}

TEST_CASE("reading a header is cancelled by its slot and leaves the socket whole", "[asio_interop]")
{
    asio::io_context io;
    tcp_pair pair{io};
    send(pair.client, "PROXY ");
    asio::cancellation_signal stop;
    outcome got;
    async_read_header(pair.server, trusting,
                      asio::bind_cancellation_slot(stop.slot(), got.handler()));
    for (int i = 0; i < 10; ++i)
        io.poll();  // the bytes are taken
    CHECK_FALSE(got.called);
    stop.emit(asio::cancellation_type::terminal);
    run_to_end(io);
    CHECK(got.error == asio::error::operation_aborted);
    CHECK(got.header.rest() == "PROXY ");
    send(pair.client, "x");
    char next = '\0';
    asio::read(pair.server, asio::buffer(&next, 1));
    CHECK(next == 'x');
}

TEST_CASE("an Asio coroutine gets header or exception", "[asio_interop]")
{
    asio::io_context io;
    run_to_end(io, [](asio::io_context& here) -> asio::awaitable<void> {
        tcp_pair pair{here};
        send(pair.client, v1);
        received_header header =
            co_await async_read_header(pair.server, trusting, asio::use_awaitable);
        CHECK(to_string(header.client()) == "203.0.113.7:4242");
        // The rest is where dynamic_buffer goes on.
        CHECK(header.take_rest().empty());

        send(pair.client, "nonsense");
        std::error_code error;
        try {
            header = co_await async_read_header(pair.server, trusting, asio::use_awaitable);
        } catch (const std::system_error& thrown) {
            error = thrown.code();
        }
        CHECK(error == header_error::malformed);
    }(io));
}

TEST_CASE("a future gets the header", "[asio_interop]")
{
    asio::io_context io;
    tcp_pair pair{io};
    send(pair.client, v1);
    auto future = async_read_header(pair.server, trusting, asio::use_future);
    run_to_end(io);
    CHECK(to_string(future.get().client()) == "203.0.113.7:4242");
}

TEST_CASE("a UNIX socket's peer is known by its user", "[asio_interop]")
{
    asio::io_context io;
    asio::local::stream_protocol::socket client{io};
    asio::local::stream_protocol::socket server{io};
    asio::local::connect_pair(client, server);
    asio::write(client, asio::buffer(v1));
    const std::string user = "unix:uid=" + std::to_string(::getuid());
    outcome got;
    async_read_header(server, {.trust = {user}}, got.handler());
    run_to_end(io);
    REQUIRE_FALSE(got.error);
    CHECK(to_string(got.header.client()) == "203.0.113.7:4242");
    CHECK(got.header.peer().is_unix());
}

TEST_CASE("a socket whose peer has gone is told as closed", "[asio_interop]")
{
    asio::io_context io;
    tcp::socket unconnected{io, tcp::v4()};
    outcome got;
    asio_interop::header_options open{.trust = {"192.0.2.1"}};
    open.trust.others(proxy_protocol::trust_outcome::direct);
    async_read_header(unconnected, open, got.handler());
    run_to_end(io);
    CHECK(got.error == header_error::closed);
}

TEST_CASE("several threads may run the io_context", "[asio_interop]")
{
    constexpr int connections = 300;
    asio::io_context io;
    std::vector<tcp_pair> pairs;
    std::atomic<int> named = 0;
    std::atomic<int> late = 0;
    for (int i = 0; i < connections; ++i) {
        tcp_pair& pair = pairs.emplace_back(io);
        send(pair.client, i % 3 == 0 ? v1.substr(0, 9) : v1);
    }
    for (tcp_pair& pair : pairs) {
        async_read_header(pair.server, {.trust = {"127.0.0.1"}, .header = {.time_max = 20ms}},
                          [&](std::error_code error, const received_header& header) {
                              if (!error && header.origin() == origin::proxied)
                                  ++named;
                              else if (error == header_error::too_late)
                                  ++late;
                          });
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([&io] { io.run_for(20s); });
    for (std::thread& each : threads)
        each.join();
    CHECK(late >= connections / 3);
    CHECK(named + late == connections);
}

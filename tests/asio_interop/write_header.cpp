#include <whence/asio_interop/write_header.hpp>

#include "asio_interop/sockets.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/deferred.hpp>
#include <asio/use_future.hpp>

#include <optional>

using namespace support;
using namespace whence;
using asio_interop::async_write_header;
using asio_interop::header_error;

namespace {

using namespace std::string_view_literals;

const endpoint client = *endpoint::parse("203.0.113.7:4242");
const endpoint server = *endpoint::parse("198.51.100.1:443");

/// Keeps each write, of which it takes as much as it is told.
class recording_stream {
public:
    using executor_type = asio::io_context::executor_type;
    explicit recording_stream(asio::io_context& io) : io_(io) {}
    executor_type get_executor() const noexcept { return io_.get_executor(); }

    template <class Buffers, class Token>
    auto async_write_some(const Buffers& from, Token&& token)
    {
        return asio::async_initiate<Token, void(std::error_code, std::size_t)>(
            [this, from](auto handler) {
                std::string bytes(std::min(take, asio::buffer_size(from)), '\0');
                asio::buffer_copy(asio::buffer(bytes), from);
                const std::size_t count = bytes.size();
                writes.push_back(std::move(bytes));
                const std::error_code error =
                    count == 0 ? std::error_code{asio::error::broken_pipe} : std::error_code{};
                take = take_next;
                asio::post(io_, asio::append(std::move(handler), error, count));
            },
            token);
    }

    std::size_t take = 1000;
    std::size_t take_next = 1000;
    std::vector<std::string> writes;

private:
    asio::io_context& io_;
};

}  // namespace

TEST_CASE("the header and the first payload go out in one write", "[asio_interop]")
{
    asio::io_context io;
    recording_stream stream{io};
    auto sent =
        async_write_header(stream, client, server, asio::buffer("hello"sv), {}, asio::use_future);
    run_to_end(io);
    CHECK(sent.get() == 5);
    REQUIRE(stream.writes.size() == 1);
    CHECK(stream.writes[0] == "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
                              "\xcb\0\x71\x07\xc6\x33\x64\x01\x10\x92\x01\xbb"
                              "hello"sv);
}

TEST_CASE("a header that is taken in parts is written to its end", "[asio_interop]")
{
    asio::io_context io;
    recording_stream stream{io};
    stream.take = 7;
    auto sent = async_write_header(stream, client, server, asio::buffer("hello"sv), {.version = 1},
                                   asio::use_future);
    run_to_end(io);
    CHECK(sent.get() == 5);
    REQUIRE(stream.writes.size() == 2);
    CHECK(stream.writes[0] + stream.writes[1] ==
          "PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\nhello");
}

TEST_CASE("a lazy write keeps nothing of its options", "[asio_interop]")
{
    asio::io_context io;
    recording_stream stream{io};
    auto sent = std::optional{[&] {
        const std::string id = "a request";
        const proxy_protocol::tlv entry{proxy_protocol::tlv_type::unique_id,
                                        std::as_bytes(std::span{id})};
        const proxy_protocol::encode_options options{.tlvs = std::span{&entry, 1}};
        return async_write_header(stream, client, server, {}, options, asio::deferred);
    }()};
    std::size_t payload = 1;
    (*std::move(sent))([&](std::error_code error, std::size_t count) {
        CHECK_FALSE(error);
        payload = count;
    });
    run_to_end(io);
    CHECK(payload == 0);
    REQUIRE(stream.writes.size() == 1);
    CHECK(stream.writes[0].ends_with("\x05\0\x09"
                                     "a request"sv));
}

TEST_CASE("what a header cannot say is not sent", "[asio_interop]")
{
    asio::io_context io;
    recording_stream stream{io};
    std::error_code got;
    async_write_header(stream, client, server, asio::buffer("hello"sv),
                       {.version = 1, .crc32c = true},
                       [&](std::error_code error, std::size_t) { got = error; });
    CHECK_FALSE(got);
    run_to_end(io);
    CHECK(got == header_error::unspeakable);
    CHECK(got.message() == "no PROXY header can say that (v1_no_tlvs)");
    CHECK(stream.writes.empty());
}

TEST_CASE("a write that fails is the stream's own error", "[asio_interop]")
{
    asio::io_context io;
    recording_stream stream{io};
    stream.take = 30;
    stream.take_next = 0;
    std::error_code got;
    std::size_t sent = 0;
    async_write_header(stream, client, server, asio::buffer("hello"sv), {},
                       [&](std::error_code error, std::size_t count) {
                           got = error;
                           sent = count;
                       });
    run_to_end(io);
    CHECK(got == asio::error::broken_pipe);
    CHECK(sent == 2);
}

TEST_CASE("writing a header is cancelled by its slot", "[asio_interop]")
{
    asio::io_context io;
    tcp_pair pair{io};
    const std::string much(std::size_t{32} << 20, 'x');  // more than any socket buffer
    asio::cancellation_signal stop;
    std::error_code got;
    std::size_t sent = 0;
    async_write_header(
        pair.client, client, server, asio::buffer(much), {},
        asio::bind_cancellation_slot(stop.slot(), [&](std::error_code error, std::size_t count) {
            got = error;
            sent = count;
        }));
    for (int i = 0; i < 10; ++i)
        io.poll();
    CHECK_FALSE(got);
    stop.emit(asio::cancellation_type::terminal);
    run_to_end(io);
    CHECK(got == asio::error::operation_aborted);
    CHECK(sent < much.size());
}

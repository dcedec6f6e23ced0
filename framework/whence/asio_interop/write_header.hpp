#pragma once

#include <whence/asio_interop/header_error.hpp>

#include <asio/append.hpp>
#include <asio/buffer.hpp>
#include <asio/compose.hpp>
#include <asio/post.hpp>
#include <asio/write.hpp>

#include <algorithm>

namespace whence::inline v0::asio_interop {

namespace internal {

template <class Stream>
class write_header_operation {
public:
    using encoded = result<std::vector<std::byte>, proxy_protocol::encode_error>;

    write_header_operation(Stream& stream, encoded header, asio::const_buffer payload)
        : stream_(stream), payload_(payload)
    {
        if (header)
            header_ = std::move(*header);
        else
            error_ = header_error_code(header.error());
    }

    template <class Self>
    void operator()(Self& self)
    {
        self.reset_cancellation_state(asio::enable_partial_cancellation());
        Stream& stream = stream_;
        if (error_) {
            asio::post(stream.get_executor(), asio::append(std::move(self), error_, 0));
            return;
        }
        // A vector's bytes stay where they are when it is moved.
        const std::array<asio::const_buffer, 2> both{asio::buffer(header_), payload_};
        asio::async_write(stream, both, std::move(self));
    }

    template <class Self>
    void operator()(Self& self, const std::error_code& error, std::size_t sent)
    {
        self.complete(error, sent - std::min(sent, header_.size()));
    }

private:
    Stream& stream_;
    asio::const_buffer payload_;
    std::vector<std::byte> header_;
    std::error_code error_;
};

}  // namespace internal

/// Is what async_write_header() completes with.
using write_header_signature = void(std::error_code, std::size_t);

/// Writes a PROXY header that names `source` and `destination`, and the first payload behind it in
/// the same write: what a connection that speaks for somebody else begins with. Gives the number of
/// payload bytes that were sent.
/// shape: `stream` and the payload's bytes stay the caller's until it has completed; `options` and
/// what they point to are used inside the call only.
/// resumes: through the token's handler and executor, never inside the call.
/// errors: header_error::unspeakable naming the encode_error, before a byte is sent; what the
/// stream's own writes fail with, asio::error::operation_aborted when it is cancelled: close the
/// stream then, the receiver must not take a part for the whole.
/// source: proxy-protocol.txt, section 2; proxy_protocol::encode().
template <class Stream, asio::completion_token_for<write_header_signature> Token =
                            asio::default_completion_token_t<typename Stream::executor_type>>
auto async_write_header(Stream& stream, const endpoint& source, const endpoint& destination,
                        asio::const_buffer payload, const proxy_protocol::encode_options& options,
                        Token&& token = {})
{
    return asio::async_compose<Token, write_header_signature>(
        internal::write_header_operation<Stream>{
            stream, proxy_protocol::encode(source, destination, options), payload},
        token, stream);
}

}  // namespace whence::inline v0::asio_interop

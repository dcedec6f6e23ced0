#pragma once

#include <whence/asio_interop/header_error.hpp>
#include <whence/middleware/accept_header.hpp>
#include <whence/net/socket.hpp>
#include <whence/proxy_protocol/hint.hpp>

#include <asio/append.hpp>
#include <asio/basic_waitable_timer.hpp>
#include <asio/buffer.hpp>
#include <asio/compose.hpp>
#include <asio/deferred.hpp>
#include <asio/error.hpp>
#include <asio/experimental/parallel_group.hpp>
#include <asio/post.hpp>

#include <algorithm>

namespace whence::inline v0::asio_interop {

namespace internal {
class header_reading;
}

/// Configures async_read_header(), with the table and the limits that a pipeline's
/// proxy_protocol::accept has.
struct header_options {
    proxy_protocol::trust_table trust;  // no default: nobody is trusted until named
    proxy_protocol::header_limits header = {};
};

/// Holds the two ends of a stream. async_read_header() asks a socket itself; a stream of another
/// kind has its ends named.
struct stream_ends {
    stream_ends(proxy_protocol::peer_identity far, endpoint near) noexcept
        : peer(std::move(far)), local(std::move(near))
    {}

    proxy_protocol::peer_identity peer;  // for a UNIX socket, with its user and group
    endpoint local;
};

/// Tells for whom a connection was made.
class received_header {
public:
    received_header() = default;

    /// The other end of the wire: the proxy, when there is one.
    const endpoint& peer() const noexcept { return peer_; }
    /// Our end of the wire.
    const endpoint& local() const noexcept { return local_; }
    /// The party for which the connection was made: from the header, else the peer.
    endpoint client() const
    {
        return origin_ == whence::origin::proxied ? header_->view().source() : peer_;
    }
    /// The address that the client wanted to reach: from the header, else ours.
    endpoint server() const
    {
        return origin_ == whence::origin::proxied ? header_->view().destination() : local_;
    }
    whence::origin origin() const noexcept { return origin_; }
    /// The decoded header, if there was one.
    /// shape: views bytes that this object owns; not longer than it lives and stays unmoved.
    std::optional<proxy_protocol::header_view> header() const
    {
        return header_ ? std::optional{header_->view()} : std::nullopt;
    }

    /// What was read past the header: the first bytes of the client. After an error, all that was
    /// read.
    const std::string& rest() const noexcept { return rest_; }
    /// Gives it away, such as to the asio::dynamic_buffer from which the program goes on reading.
    std::string take_rest() noexcept { return std::exchange(rest_, {}); }

    /// After an error, what a log should tell beside its message, such as
    /// "no_signature at byte 0; HTTP request where a PROXY header was required"; may be empty.
    const std::string& detail() const noexcept { return detail_; }

private:
    friend class internal::header_reading;

    endpoint peer_;
    endpoint local_;
    whence::origin origin_ = whence::origin::direct;
    std::optional<proxy_protocol::header> header_;
    std::string rest_;
    std::string detail_;
};

namespace internal {

inline constexpr std::size_t header_room_min = 256;

/// Is what all streams' reading has in common: from the decision to the header or the refusal.
class header_reading {
public:
    header_reading(const stream_ends& ends, const header_options& options) : limits_(options.header)
    {
        received.peer_ = ends.peer.address;
        received.local_ = ends.local;
        if (ends.peer.address.empty()) {  // the kernel knows no peer any more
            decide(header_error_code(header_error::closed));
            return;
        }
        const auto outcome = options.trust.decide(ends.peer).outcome;
        if (outcome == proxy_protocol::trust_outcome::refuse)
            decide(header_error_code(header_error::untrusted));
        else if (outcome == proxy_protocol::trust_outcome::direct)
            decide({});
    }

    bool decided() const noexcept { return decided_; }
    const std::error_code& outcome() const noexcept { return outcome_; }
    nanoseconds time_max() const noexcept { return limits_.time_max; }

    /// Makes room for what has come once more, not for what is announced: memory follows the data.
    asio::mutable_buffer room()
    {
        std::string& bytes = received.rest_;
        size_ = bytes.size();
        bytes.resize(size_ + std::max(size_, header_room_min));
        return asio::buffer(bytes) + size_;
    }

    /// Takes what a read brought. `late`: the time was over before it came.
    void take(const std::error_code& error, std::size_t count, bool late)
    {
        received.rest_.resize(size_ + count);
        if (count > 0)
            look();
        if (decided_ || (!error && count > 0 && !late))
            return;
        if (late)
            give_up(header_error::too_late);
        else if (error && error != asio::error::eof)
            decide(error);
        else if (received.rest_.empty())
            decide(header_error_code(header_error::closed));
        else
            give_up(header_error::truncated);
    }

    received_header received;

private:
    void look()
    {
        std::string& bytes = received.rest_;
        const const_bytes came = std::as_bytes(std::span<const char>{bytes});
        const proxy_protocol::parse_result parsed =
            proxy_protocol::parse(came, {.header_size_max = limits_.size_max});
        if (parsed.status == proxy_protocol::parse_status::incomplete)
            return;
        if (parsed.status != proxy_protocol::parse_status::complete) {
            refuse(parsed, came);
            return;
        }
        const proxy_protocol::header_view& header = parsed.header;
        received.header_.emplace(header);
        if (header.command() == proxy_protocol::command::local)
            received.origin_ = whence::origin::local;
        else
            received.origin_ =
                header.has_addresses() ? whence::origin::proxied : whence::origin::unknown;
        bytes.erase(0, header.size());
        decide({});
    }

    void refuse(const proxy_protocol::parse_result& parsed, const_bytes came)
    {
        received.detail_ = to_string(parsed.reason);
        received.detail_ += " at byte " + std::to_string(parsed.position);
        const std::string_view hint = proxy_protocol::hint_of(came);
        if (parsed.status == proxy_protocol::parse_status::not_proxy && !hint.empty())
            received.detail_.append("; ").append(hint).append(" where a PROXY header was required");
        decide(header_error_code(parsed.reason));
    }

    void give_up(header_error kind)
    {
        received.detail_ =
            "after " + std::to_string(received.rest_.size()) + " bytes of the header";
        decide(header_error_code(kind));
    }

    void decide(const std::error_code& outcome) noexcept
    {
        decided_ = true;
        outcome_ = outcome;
    }

    proxy_protocol::header_limits limits_;
    std::size_t size_ = 0;  // of what had come before the read that is under way
    bool decided_ = false;
    std::error_code outcome_;
};

/// Reads by turns, each bounded by what is left of the time. Several threads may run the
/// io_context: the group of read and timer takes care of that.
template <class Stream>
class read_header_operation {
public:
    read_header_operation(Stream& stream, const stream_ends& ends, const header_options& options)
        : stream_(stream), state_(std::make_unique<state>(stream, ends, options))
    {}

    template <class Self>
    void operator()(Self& self)
    {
        self.reset_cancellation_state(asio::enable_partial_cancellation());
        if (state_->reading.decided()) {
            auto executor = stream_.get_executor();
            asio::post(executor, asio::append(std::move(self), std::error_code{}));
            return;
        }
        state_->timer.expires_after(state_->reading.time_max());
        read(self);
    }

    /// Completes what was decided before a byte was read.
    template <class Self>
    void operator()(Self& self, std::error_code)
    {
        finish(self, state_->reading.outcome());
    }

    template <class Self>
    void operator()(Self& self, const std::array<std::size_t, 2>&, std::error_code error,
                    std::size_t count, std::error_code not_late)
    {
        header_reading& reading = state_->reading;
        reading.take(error, count, !not_late && error == asio::error::operation_aborted);
        if (reading.decided())
            finish(self, reading.outcome());
        else if (self.cancelled() != asio::cancellation_type::none)
            finish(self, asio::error::operation_aborted);
        else
            read(self);
    }

private:
    using clock = std::chrono::steady_clock;
    struct state {
        state(Stream& stream, const stream_ends& ends, const header_options& options)
            : reading(ends, options), timer(stream.get_executor())
        {}
        header_reading reading;
        asio::basic_waitable_timer<clock, asio::wait_traits<clock>, typename Stream::executor_type>
            timer;
    };

    template <class Self>
    void read(Self& self)
    {
        state& now = *state_;
        asio::experimental::make_parallel_group(
            stream_.async_read_some(now.reading.room(), asio::deferred),
            now.timer.async_wait(asio::deferred))
            .async_wait(asio::experimental::wait_for_one(), std::move(self));
    }

    template <class Self>
    void finish(Self& self, std::error_code outcome)
    {
        received_header received = std::move(state_->reading.received);
        state_.reset();
        self.complete(outcome, std::move(received));
    }

    Stream& stream_;
    std::unique_ptr<state> state_;  // where it stays while the operation is moved about
};

inline stream_ends ends_of(int socket)
{
    const endpoint peer = peer_of(socket);
    if (peer.is_unix()) {
        if (const auto known = peer_credentials_of(socket))
            return {proxy_protocol::peer_identity{peer, known->uid, known->gid}, local_of(socket)};
    }
    return {peer, local_of(socket)};
}

}  // namespace internal

/// Is what async_read_header() completes with.
using read_header_signature = void(std::error_code, received_header);

/// Reads the PROXY header of a stream whose ends the program names; otherwise as below.
template <class Stream, asio::completion_token_for<read_header_signature> Token =
                            asio::default_completion_token_t<typename Stream::executor_type>>
auto async_read_header(Stream& stream, const stream_ends& ends, const header_options& options,
                       Token&& token = {})
{
    return asio::async_compose<Token, read_header_signature>(
        internal::read_header_operation<Stream>{stream, ends, options}, token, stream);
}

/// Reads the PROXY header of an accepted socket, if the trust table wants one of its peer, and
/// tells whom the connection is for. Call it first, behind the accept, from which the time counts.
///   require   the header is read; what was read past it is the result's rest()
///   direct    completes at once: the client is the peer
///   refuse    completes at once with header_error::untrusted; nothing is read
/// shape: `stream` stays the caller's, also after an error: close it then. `options` are used
/// inside the call only.
/// resumes: through the token's handler and executor, never inside the call.
/// limits: one read at a time of the stream, as ever. Reads in pieces of 256 bytes, then more: at
/// most twice what was really sent is held.
/// errors: header_error; what the stream's own reads fail with; asio::error::operation_aborted when
/// it is cancelled (terminal or partial): rest() then has what was read.
/// source: proxy-protocol.txt, section 2.
template <class Stream, asio::completion_token_for<read_header_signature> Token =
                            asio::default_completion_token_t<typename Stream::executor_type>>
    requires requires(Stream& stream) { stream.lowest_layer().native_handle(); }
auto async_read_header(Stream& stream, const header_options& options, Token&& token = {})
{
    return async_read_header(stream, internal::ends_of(stream.lowest_layer().native_handle()),
                             options, std::forward<Token>(token));
}

}  // namespace whence::inline v0::asio_interop

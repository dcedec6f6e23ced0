#pragma once

#include <whence/address/endpoint.hpp>
#include <whence/coro/task.hpp>
#include <whence/proxy_protocol/header.hpp>
#include <whence/runtime/driver.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

namespace whence::inline v0 {

class server_metrics;

/// Says how a connection's client is known.
enum class origin : u8 {
    direct,   // the peer is the client: nobody spoke for another
    proxied,  // a trusted peer named the client in a header
    local,    // a trusted proxy speaks for itself: a health check
    unknown,  // a trusted proxy could not tell the client's address
};

/// Returns the name: "direct", "proxied", ...
std::string_view to_string(origin value) noexcept;

/// Is something that lasts as long as a connection, such as its place under a limit: destroyed when
/// the connection ends, whichever way, by the thread that ends it.
class connection_guest {
public:
    connection_guest() = default;
    connection_guest(const connection_guest&) = delete;
    connection_guest& operator=(const connection_guest&) = delete;
    virtual ~connection_guest() = default;

private:
    friend class connection;
    std::unique_ptr<connection_guest> earlier_;
};

/// Says which limit ended a session, if one did.
enum class end_cause : u8 { none, idle, write_stalled };

/// Returns the word: "", "idle", "write_stalled".
std::string_view to_string(end_cause value) noexcept;

/// Is one stream connection: its bytes, its two ends, and whom it was made for.
/// limits: one reader and one writer at a time, each a strand of the runtime that made it; another
/// is a programmer error and aborts. Not moved or destroyed while either waits.
/// errors: awaited calls throw std::system_error naming the call (`as_result` gives the error
/// instead), `cancelled` when their scope stops. A clean end of stream is a value.
class connection {
public:
    /// Takes over a connected descriptor. `peer` and `local` are canonical.
    connection(transport& via, int fd, endpoint peer, endpoint local) noexcept;
    connection(connection&& other) noexcept;
    connection& operator=(connection&&) = delete;
    /// Closes, if nobody has; never blocks.
    ~connection();

    class receive_awaiter;
    class fill_awaiter;
    class read_awaiter;
    class write_awaiter;

    /// Receives whatever is there, waiting for at least one byte; an empty chunk is the clean end.
    /// shape: what peek() and fill() left comes first.
    receive_awaiter receive(std::source_location where = std::source_location::current());

    /// Reads into `into` what is there, waiting for at least one byte; 0 is the clean end.
    /// shape: `into` is the driver's until the call completes, also when it is cancelled.
    read_awaiter read_some(mutable_bytes into,
                           std::source_location where = std::source_location::current());

    /// Reads until `into` is full. False: a clean end came before its first byte.
    /// errors: std::errc::connection_aborted when the stream ends in the middle.
    task<bool> read_exact(mutable_bytes into);

    /// Reads up to and including `delimiter`; an empty string is the clean end.
    /// errors: std::errc::message_size when it is not within `size_max` bytes,
    /// std::errc::connection_aborted when the stream ends in the middle.
    task<std::string> read_until(std::string_view delimiter, std::size_t size_max);

    /// Receives more behind what is buffered(); gives the number of bytes, 0 at the clean end.
    /// `room`: how many bytes to make room for at least.
    fill_awaiter fill(std::size_t room = 1,
                      std::source_location where = std::source_location::current());
    /// Waits until `size` bytes are buffered, and shows all that is; less only at the clean end.
    /// shape: valid until the next call that reads or consumes.
    task<const_bytes> peek(std::size_t size);
    /// Shows what was received and not consumed.
    const_bytes buffered() const noexcept { return queue_.bytes(); }
    /// Drops the first `size` buffered bytes.
    void consume(std::size_t size) noexcept
    {
        expects(!reading_, "one strand reads from a connection at a time");
        queue_.consume(size);
    }

    /// Writes all of `bytes`; they are the driver's until the call completes.
    /// limits: 1 GiB a call.
    /// errors: a cancelled write may have sent a part; no further write makes sense then.
    write_awaiter write(const_bytes bytes,
                        std::source_location where = std::source_location::current());
    write_awaiter write(std::string_view text,
                        std::source_location where = std::source_location::current());
    write_awaiter write(const chunk& received,
                        std::source_location where = std::source_location::current());

    /// Ends our direction; the peer reads a clean end and may go on sending.
    void shutdown() noexcept;
    /// Ends both directions: FIN after what was written; RST if unread bytes wait, or if a write
    /// was cut short (the peer must not take a part for the whole).
    void close() noexcept;
    /// Ends both at once: RST.
    void abort() noexcept;
    /// Ends our direction, drops what the peer still sends until it ends, too, and closes: so that
    /// a farewell arrives although unread bytes wait, for which close() would send RST.
    /// resumes: also in a stopped scope; nothing cancels it before its time.
    /// limits: drops at most about `size_max` bytes for at most `time_max`; then it closes as
    /// close() does. Nobody else reads or writes.
    task<> close_lingering(std::size_t size_max = 65'536, nanoseconds time_max = 2s);
    bool is_open() const noexcept { return fd_ >= 0; }

    /// The other end of the wire: the proxy, when there is one.
    const endpoint& peer() const noexcept { return peer_; }
    /// Our end of the wire.
    const endpoint& local() const noexcept { return local_; }
    /// The party for which the connection was made: from a trusted header, else the peer.
    endpoint client() const;
    /// The address that the client wanted to reach: from a trusted header, else ours.
    endpoint server() const;
    whence::origin origin() const noexcept { return origin_; }
    /// The decoded header, if there was one.
    /// shape: views bytes that the connection owns.
    std::optional<proxy_protocol::header_view> header() const;

    /// Takes over the header that a trusted peer sent; sets client(), server() and origin().
    /// limits: once: a second header is payload.
    void set_header(const proxy_protocol::header_view& header);

    /// Goes on in another runtime, whose transport this is; called there.
    /// limits: before anything was received or written.
    void move_to(transport& via) noexcept
    {
        expects(queue_.empty() && !reading_ && !writing_, "a connection moves before it is used");
        via_ = &via;
    }

    /// Keeps a guest until close(), abort() or the end of the connection; the last to come goes
    /// first.
    void keep(std::unique_ptr<connection_guest> guest) noexcept;

    /// Count all bytes of completed calls, a header included.
    u64 bytes_received() const noexcept { return bytes_received_; }
    u64 bytes_sent() const noexcept { return bytes_sent_; }
    /// Tells whether a write waits.
    bool is_writing() const noexcept { return writing_ != nullptr; }
    /// Gives a number that changes when more of what is being written has gone. A system call.
    /// shape: with TCP the bytes that the peer's system acknowledged; otherwise those that the
    /// kernel took, in pieces of 256 KiB of a large write.
    u64 send_progress() const noexcept;

    /// The limit that ended the session: idle_time or write_time note it, logs tell it.
    end_cause ended_by() const noexcept { return ended_by_; }
    void set_ended_by(end_cause cause) noexcept { ended_by_ = cause; }

    /// When the connection was made; deadlines on its first bytes run from here.
    time_point made_at() const noexcept { return made_at_; }
    int native_handle() const noexcept { return fd_; }

    /// Puts another carrier of the bytes in place, and gives the one that was there.
    /// limits: it outlives its stay; nothing waits on the connection but what it carries itself.
    transport& exchange_transport(transport& via) noexcept { return *std::exchange(via_, &via); }

    /// Where the server that accepted it counts; null when none did.
    server_metrics* metrics() const noexcept { return metrics_; }
    void count_in(server_metrics& counted) noexcept { metrics_ = &counted; }

private:
    class io_awaiter;
    void leave() noexcept;
    /// Gives the error with which a receive ended: `result` is 0 or minus errno. The kernel tells a
    /// connection's error once; when a write was told, what a receive finds is no clean end.
    int end_of_stream(int result) const noexcept
    {
        return result == 0 && broken_ ? ECONNRESET : -result;
    }

    transport* via_;
    int fd_;
    bool reading_ = false;
    bool write_cut_ : 1 = false;
    bool broken_ : 1 = false;  // a write was told so
    whence::origin origin_ : 2 = whence::origin::direct;
    end_cause ended_by_ : 2 = end_cause::none;
    const operation* writing_ = nullptr;  // the write that waits
    receive_queue queue_;
    endpoint peer_;
    endpoint local_;
    time_point made_at_;
    server_metrics* metrics_ = nullptr;
    u64 bytes_received_ = 0;
    u64 bytes_sent_ = 0;
    std::optional<proxy_protocol::header> header_;
    std::unique_ptr<connection_guest> guests_;
};

}  // namespace whence::inline v0

#include <whence/net/connection_awaiters.hpp>

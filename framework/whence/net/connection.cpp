#include <whence/net/connection.hpp>

#include <whence/coro/deadline.hpp>

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace whence::inline v0 {

std::string_view to_string(origin value) noexcept
{
    switch (value) {
    case origin::direct:
        return "direct";
    case origin::proxied:
        return "proxied";
    case origin::local:
        return "local";
    case origin::unknown:
        return "unknown";
    }
    return "";
}

std::string_view to_string(end_cause value) noexcept
{
    switch (value) {
    case end_cause::none:
        break;
    case end_cause::idle:
        return "idle";
    case end_cause::write_stalled:
        return "write_stalled";
    }
    return "";
}

connection::connection(transport& via, int fd, endpoint peer, endpoint local) noexcept
    : via_(&via), fd_(fd), peer_(std::move(peer)), local_(std::move(local)), made_at_(now())
{}

connection::connection(connection&& other) noexcept
    : via_(other.via_), fd_(std::exchange(other.fd_, -1)), write_cut_(other.write_cut_),
      broken_(other.broken_), origin_(other.origin_), ended_by_(other.ended_by_),
      queue_(std::move(other.queue_)), peer_(std::move(other.peer_)),
      local_(std::move(other.local_)), made_at_(other.made_at_), metrics_(other.metrics_),
      bytes_received_(other.bytes_received_), bytes_sent_(other.bytes_sent_),
      header_(std::move(other.header_)), guests_(std::move(other.guests_))
{
    expects(!other.reading_ && !other.writing_, "a connection is not moved while it is in use");
}

connection::~connection()
{
    if (fd_ >= 0)
        close();
}

void connection::leave() noexcept
{
    expects(!reading_ && !writing_, "a connection is closed when nobody waits on it");
    queue_ = {};
    while (guests_)
        guests_ = std::move(guests_->earlier_);
}

void connection::keep(std::unique_ptr<connection_guest> guest) noexcept
{
    guest->earlier_ = std::move(guests_);
    guests_ = std::move(guest);
}

void connection::close() noexcept
{
    if (write_cut_)
        return abort();
    leave();
    if (fd_ >= 0)
        via_->close(std::exchange(fd_, -1));
}

void connection::abort() noexcept
{
    leave();
    if (fd_ >= 0)
        via_->abort(std::exchange(fd_, -1));
}

task<> connection::close_lingering(std::size_t size_max, nanoseconds time_max)
{
    const shield protect{time_max};
    shutdown();
    std::size_t dropped = 0;
    while (is_open() && !write_cut_ && dropped < size_max) {
        auto receiving = as_result(receive());
        const result<chunk> got = co_await receiving;
        if (!got || !*got)
            break;
        dropped += got->size();
    }
    close();
}

u64 connection::send_progress() const noexcept
{
    tcp_info about{};
    u32 size = sizeof about;
    constexpr u32 needed = offsetof(tcp_info, tcpi_bytes_acked) + sizeof about.tcpi_bytes_acked;
    socket_calls& sockets = internal::sockets_here();
    if (sockets.option(fd_, IPPROTO_TCP, TCP_INFO, &about, size) == 0 && size >= needed)
        return about.tcpi_bytes_acked;
    return bytes_sent_ + (writing_ ? writing_->offset : 0);
}

void connection::shutdown() noexcept
{
    if (fd_ >= 0)
        via_->shutdown_write(fd_);
}

endpoint connection::client() const
{
    return origin_ == origin::proxied ? header()->source() : peer_;
}

endpoint connection::server() const
{
    return origin_ == origin::proxied ? header()->destination() : local_;
}

std::optional<proxy_protocol::header_view> connection::header() const
{
    if (!header_)
        return std::nullopt;
    return header_->view();
}

void connection::set_header(const proxy_protocol::header_view& header)
{
    expects(!header_, "a connection has one header");
    header_.emplace(header);
    if (header.command() == proxy_protocol::command::local)
        origin_ = origin::local;
    else
        origin_ = header.has_addresses() ? origin::proxied : origin::unknown;
}

connection::fill_awaiter connection::fill(std::size_t room, std::source_location where)
{
    expects(!reading_, "one strand reads from a connection at a time");
    note_wait(where);
    // A header must not wait behind the pool's other users: when the pool is low it goes without.
    const bool pooled = queue_.empty() && !internal::current_pool->low();
    return fill_awaiter{*this, pooled ? mutable_bytes{} : queue_.prepare(room)};
}

result<std::size_t> connection::fill_awaiter::outcome() noexcept
{
    on_.reading_ = false;
    const strand& self = *internal::ctx.current;
    if (const int error = self.result > 0 ? 0 : on_.end_of_stream(self.result))
        return error_of(error);
    const auto size = static_cast<u32>(self.result);
    on_.bytes_received_ += size;
    if (size != 0 && room_.empty())
        on_.queue_.put(static_cast<std::byte*>(self.data), size);
    else if (size != 0)
        on_.queue_.commit(size);
    return std::size_t{size};
}

std::size_t connection::fill_awaiter::await_resume()
{
    const auto filled = outcome();
    if (!filled)
        throw_error(filled.error().value(), "fill");
    return *filled;
}

connection::read_awaiter connection::read_some(mutable_bytes into, std::source_location where)
{
    note_wait(where);
    return read_awaiter{*this, into};
}

result<std::size_t> connection::read_awaiter::outcome() noexcept
{
    if (on_.reading_) {
        on_.reading_ = false;
        const int received = internal::ctx.current->result;
        if (const int error = received > 0 ? 0 : on_.end_of_stream(received))
            return error_of(error);
        on_.bytes_received_ += static_cast<u32>(received);
        return static_cast<std::size_t>(received);
    }
    const const_bytes there = on_.queue_.bytes();
    const std::size_t size = std::min(there.size(), into_.size());
    if (size != 0) {
        std::memcpy(into_.data(), there.data(), size);
        on_.queue_.consume(size);
    }
    return size;
}

std::size_t connection::read_awaiter::await_resume()
{
    const auto received = outcome();
    if (!received)
        throw_error(received.error().value(), "read_some");
    return *received;
}

task<bool> connection::read_exact(mutable_bytes into)
{
    std::size_t have = 0;
    while (have < into.size()) {
        const std::size_t got = co_await read_some(into.subspan(have));
        if (got == 0 && have == 0)
            co_return false;
        if (got == 0)
            throw_error(ECONNABORTED, "read_exact: the stream ended in the middle");
        have += got;
    }
    co_return true;
}

task<std::string> connection::read_until(std::string_view delimiter, std::size_t size_max)
{
    expects(!delimiter.empty(), "a delimiter has one byte at least");
    std::size_t searched = 0;
    for (;;) {
        const const_bytes there = buffered();
        const std::string_view text{reinterpret_cast<const char*>(there.data()), there.size()};
        const std::size_t at = text.find(delimiter, searched);
        if (at != text.npos && at + delimiter.size() <= size_max) {
            std::string found{text.substr(0, at + delimiter.size())};
            consume(found.size());
            co_return found;
        }
        if (at != text.npos || text.size() >= size_max)
            throw_error(EMSGSIZE, "read_until");
        searched = text.size() < delimiter.size() ? 0 : text.size() - delimiter.size() + 1;
        const std::size_t got = co_await fill();
        if (got == 0 && buffered().empty())
            co_return std::string{};
        if (got == 0)
            throw_error(ECONNABORTED, "read_until: the stream ended in the middle");
    }
}

task<const_bytes> connection::peek(std::size_t size)
{
    while (buffered().size() < size) {
        const std::size_t got = co_await fill(size - buffered().size());
        if (got == 0)
            break;
    }
    co_return buffered();
}

}  // namespace whence::inline v0

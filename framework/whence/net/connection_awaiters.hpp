#pragma once

/// The calls of a connection that can wait; brought by connection.hpp.

#include <whence/net/connection.hpp>

namespace whence::inline v0 {

/// Fills the strand's operation for one call on a connection: what all of them share.
class connection::io_awaiter {
public:
    explicit io_awaiter(connection& on) noexcept : on_(on) {}

protected:
    // An operation counts bytes in 32 bits, and tells them in an int.
    static constexpr std::size_t call_size_max = std::size_t{1} << 30;

    /// Tells whether bytes are there. Another strand that waits in fill() has bytes, too, but those
    /// are in front of what the kernel writes.
    bool has_bytes() const noexcept
    {
        expects(!on_.reading_, "one strand reads from a connection at a time");
        return !on_.queue_.empty();
    }

    // clang counts these as too large to inline, which costs an echo 45 instructions of 400.
    [[gnu::always_inline]] bool start(verb what, std::coroutine_handle<> waiter, void* data,
                                      std::size_t size) noexcept
    {
        expects(on_.fd_ >= 0, "a closed connection is not used");
        strand& self = *internal::ctx.current;
        self.what = what;
        self.fd = on_.fd_;
        self.data = data;
        self.size = static_cast<u32>(size);
        return start_wait(*on_.via_, waiter);
    }

    [[gnu::always_inline]] bool start_reading(verb what, std::coroutine_handle<> waiter, void* data,
                                              std::size_t size) noexcept
    {
        expects(!on_.reading_, "one strand reads from a connection at a time");
        on_.reading_ = true;
        return start(what, waiter, data, size);
    }

    connection& on_;
};

class [[nodiscard]] connection::receive_awaiter : io_awaiter {
public:
    using io_awaiter::io_awaiter;

    bool await_ready() const noexcept { return has_bytes(); }
    [[gnu::always_inline]] bool await_suspend(std::coroutine_handle<> waiter) noexcept
    {
        return start_reading(verb::recv_pooled, waiter, nullptr, 0);
    }
    [[gnu::always_inline]] chunk await_resume()
    {
        const int error = finish();
        if (error != 0) [[unlikely]]
            throw_error(error, "receive");
        return on_.queue_.take();
    }
    result<chunk> outcome() noexcept
    {
        const int error = finish();
        if (error != 0)
            return error_of(error);
        return on_.queue_.take();
    }

private:
    [[gnu::always_inline]] int finish() noexcept
    {
        if (!on_.reading_)
            return 0;  // it was buffered
        on_.reading_ = false;
        const strand& self = *internal::ctx.current;
        if (self.result <= 0) [[unlikely]]
            return on_.end_of_stream(self.result);
        on_.bytes_received_ += static_cast<u32>(self.result);
        on_.queue_.put(static_cast<std::byte*>(self.data), static_cast<u32>(self.result));
        return 0;
    }
};

class [[nodiscard]] connection::fill_awaiter : io_awaiter {
public:
    fill_awaiter(connection& on, mutable_bytes room) noexcept : io_awaiter(on), room_(room) {}

    bool await_ready() const noexcept { return false; }
    [[gnu::always_inline]] bool await_suspend(std::coroutine_handle<> waiter) noexcept
    {
        const verb what = room_.empty() ? verb::recv_pooled : verb::recv;
        return start_reading(what, waiter, room_.data(), room_.size());
    }
    std::size_t await_resume();
    result<std::size_t> outcome() noexcept;

private:
    mutable_bytes room_;  // empty: a pool buffer becomes the queue
};

class [[nodiscard]] connection::read_awaiter : io_awaiter {
public:
    read_awaiter(connection& on, mutable_bytes into) noexcept : io_awaiter(on), into_(into) {}

    bool await_ready() const noexcept { return into_.empty() || has_bytes(); }
    [[gnu::always_inline]] bool await_suspend(std::coroutine_handle<> waiter) noexcept
    {
        const std::size_t size = std::min(into_.size(), call_size_max);
        return start_reading(verb::recv, waiter, into_.data(), size);
    }
    std::size_t await_resume();
    result<std::size_t> outcome() noexcept;

private:
    mutable_bytes into_;
};

class [[nodiscard]] connection::write_awaiter : io_awaiter {
public:
    write_awaiter(connection& on, const_bytes bytes) noexcept : io_awaiter(on), bytes_(bytes) {}

    bool await_ready() const noexcept { return bytes_.empty(); }
    [[gnu::always_inline]] bool await_suspend(std::coroutine_handle<> waiter) noexcept
    {
        expects(!on_.writing_, "one strand writes to a connection at a time");
        expects(bytes_.size() <= call_size_max, "a write has at most 1 GiB");
        on_.writing_ = internal::ctx.current;
        internal::ctx.current->offset = 0;
        return start(verb::send, waiter, const_cast<std::byte*>(bytes_.data()), bytes_.size());
    }
    void await_resume()
    {
        const int error = finish();
        if (error != 0) [[unlikely]]
            throw_error(error, "write");
    }
    std::error_code outcome() noexcept { return error_of(finish()); }

private:
    int finish() noexcept
    {
        if (bytes_.empty())
            return 0;
        on_.writing_ = nullptr;
        const int sent = internal::ctx.current->result;
        if (sent == static_cast<int>(bytes_.size())) [[likely]] {
            on_.bytes_sent_ += bytes_.size();
            return 0;
        }
        on_.write_cut_ = true;
        if (sent < 0) {
            on_.broken_ |= sent == -ECONNRESET || sent == -ETIMEDOUT || sent == -EHOSTUNREACH ||
                           sent == -ENETUNREACH;
            return -sent;
        }
        on_.bytes_sent_ += static_cast<u32>(sent);
        return ECANCELED;
    }

    const_bytes bytes_;
};

inline connection::receive_awaiter connection::receive(std::source_location where)
{
    note_wait(where);
    return receive_awaiter{*this};
}

inline connection::write_awaiter connection::write(const_bytes bytes, std::source_location where)
{
    note_wait(where);
    return write_awaiter{*this, bytes};
}

inline connection::write_awaiter connection::write(std::string_view text,
                                                   std::source_location where)
{
    return write(std::as_bytes(std::span{text}), where);
}

inline connection::write_awaiter connection::write(const chunk& received,
                                                   std::source_location where)
{
    return write(received.bytes(), where);
}

}  // namespace whence::inline v0

#pragma once

#include <whence/base/contiguous_queue.hpp>
#include <whence/coro/wait_queue.hpp>
#include <whence/coro/when_all.hpp>
#include <whence/net/connection.hpp>

namespace whence::inline v0 {

/// Says what becomes of a message for which an outbox has no room.
enum class outbox_policy : u8 {
    wait,         // push() waits for room, first come, first served
    drop_oldest,  // the oldest ones that are not being written go: what is true now counts
    disconnect,   // the outbox ends with std::errc::no_buffer_space: who cannot keep up, goes
};

/// Bounds an outbox.
struct outbox_options {
    std::size_t bytes_max = 64 * 1024;  // that wait; as many again may be on their way
    std::size_t messages_max = 1024;    // that wait: bytes_max in messages of 64 bytes
    outbox_policy when_full = outbox_policy::disconnect;  // no reader costs more than its share
    nanoseconds drain_time_max = 5s;  // from close() until all is sent; serve's own is 5 s, too
};

/// Says what became of a message.
enum class push_outcome : u8 {
    queued,                 // it will be sent
    queued_others_dropped,  // it will be sent; older ones will not
    full,       // wait: there is no room yet. disconnect: there was none, the outbox has ended
    too_large,  // it is larger than bytes_max
    no_memory,  // it was dropped
    closed,     // the outbox takes no more; error() says why
};

/// Counts since the outbox was made; messages / writes tells how many share a system call.
struct outbox_counters {
    u64 messages = 0;            // taken
    u64 dropped = 0;             // of these, by drop_oldest; and those without memory
    u64 writes = 0;              // to the connection
    std::size_t bytes_high = 0;  // that waited at once
};

/// Sends the messages of many strands over one connection: one strand writes, all that has been
/// pushed meanwhile goes out in its next write. A broadcast to a slow reader costs the broadcaster
/// nothing, and its memory is bounded.
///
///   struct seat {                       // in a room, while a session lasts
///       seat(std::set<outbox*>& room, outbox& own) : room_(room), own_(own) { room.insert(&own); }
///       ~seat() { room_.erase(&own_); }
///       std::set<outbox*>& room_;
///       outbox& own_;
///   };
///   task<> talk(connection& conn, std::set<outbox*>& room, outbox& own)
///   {
///       const seat here{room, own};
///       while (auto said = co_await conn.receive())
///           for (outbox* each : room)
///               each->try_push(said.text());
///   }
///   task<> chat(connection& conn)       // the handler
///   {
///       static std::set<outbox*> room;  // of the one thread that serves
///       auto body = [&conn](outbox& own) { return talk(conn, room, own); };
///       co_await with_outbox(conn, {.when_full = outbox_policy::disconnect}, body);
///   }
///
/// shape: messages are copied, which takes 15 ns more than sharing one of 100 bytes and lets a
/// single write carry many; none is ever cut. Memory grows with what waits, up to twice bytes_max,
/// three times with drop_oldest, rounded up to powers of two; idle, blocks of up to 4 KiB stay.
/// limits: one thread. While run() runs, nobody else writes to the connection. Destroyed when run()
/// has ended; who holds a reference to it must know, as `seat` does.
/// errors: pushing never throws for what became of this connection: the strand that pushes is
/// often another session's. It is told `closed`; run() throws, and so ends the session itself.
class outbox : timer, carrier {
public:
    /// limits: bytes_max from 1 byte to 1 GiB, messages_max from 1.
    explicit outbox(connection& conn, const outbox_options& options = {}) noexcept;
    ~outbox() override;

    /// Takes a message if there is room; never waits. Those that wait in push() come first.
    push_outcome try_push(const_bytes message) noexcept;
    push_outcome try_push(std::string_view text) noexcept
    {
        return try_push(std::as_bytes(std::span{text}));
    }

    class push_awaiter;
    class flush_awaiter;

    /// Takes a message; under outbox_policy::wait when there is room, in the order of the calls.
    /// shape: `message` is copied; it is used until the call completes.
    /// resumes: with any outcome of try_push() but, under wait, `full`.
    /// errors: cancelled; then it was not taken.
    push_awaiter push(const_bytes message,
                      std::source_location where = std::source_location::current()) noexcept;
    push_awaiter push(std::string_view text,
                      std::source_location where = std::source_location::current()) noexcept;

    /// Waits until everything taken so far was handed to the kernel or dropped by drop_oldest.
    /// False: the outbox ended before.
    /// errors: cancelled.
    flush_awaiter flush(std::source_location where = std::source_location::current()) noexcept;

    /// Lets nothing more in; what is in is sent within drain_time_max. Idempotent.
    /// resumes: who waits in push() is told `closed`, in a later turn.
    void close() noexcept;

    /// Writes until close(), and then until all is sent. Once; in a strand of its own.
    /// errors: what write() throws; std::errc::no_buffer_space when a full outbox disconnects,
    /// std::errc::timed_out when drain_time_max has run out; cancelled. Then the rest is not sent,
    /// and as the write was cut, the connection's end will be a reset.
    task<> run();

    /// Says why it ended; no error while it is open, and after a close() that was in time.
    std::error_code error() const noexcept { return error_of(error_); }
    const outbox_counters& counters() const noexcept { return counters_; }
    /// Counts the bytes that wait, without those of the write under way.
    std::size_t bytes() const noexcept { return queued_.size(); }

private:
    struct waiter : list_node<waiter> {
        waiter() = default;
        waiter(const_bytes bytes, u64 position) noexcept : message(bytes), until(position) {}
        waiter(waiter&& other) noexcept : message(other.message), until(other.until) {}

        operation* op = nullptr;
        const_bytes message;  // push: what to take
        u64 until = 0;        // flush: the position that must have been sent; 0: push
    };
    class awaiter;
    class tenure;

    bool has_room(std::size_t size) const noexcept;
    push_outcome put(const_bytes message) noexcept;
    void drop_one() noexcept;
    void take_queued() noexcept;
    void wrote() noexcept;
    void fail(int error) noexcept;
    void end() noexcept;
    void tell_closed(intrusive_list<waiter>& waiting) noexcept;
    static void on_drain_due(timer& self) noexcept;
    void submit(operation& op) noexcept override;
    void cancel(operation& op) noexcept override;

    connection& conn_;
    outbox_options options_;
    bool closed_ = false;
    bool writing_ = false;
    bool ended_ = false;
    int error_ = 0;
    strand* writer_ = nullptr;
    u64 taken_ = 0;  // bytes, ever: the position behind the last message
    u64 sent_ = 0;   // the position up to which all is sent or dropped
    internal::contiguous_queue<std::byte> queued_;
    internal::contiguous_queue<u32> sizes_;  // of the messages in queued_
    internal::contiguous_queue<std::byte> sending_;
    wait_queue work_;  // the writer, when there is nothing to write
    intrusive_list<waiter> pushing_;
    intrusive_list<waiter> flushing_;
    outbox_counters counters_;
};

/// Waits in one of an outbox's two lists; once it is woken it does not touch the outbox again,
/// which may be gone by then.
class outbox::awaiter : protected waiter {
public:
    awaiter(outbox& of, const_bytes bytes, u64 position) noexcept : waiter(bytes, position), of_(of)
    {}

    bool await_suspend(std::coroutine_handle<> handle) noexcept
    {
        waited_ = true;
        internal::ctx.current->data = static_cast<waiter*>(this);
        return start_wait(of_, handle);
    }

protected:
    static int result() noexcept { return internal::ctx.current->result; }

    outbox& of_;
    bool waited_ = false;
};

class [[nodiscard]] outbox::push_awaiter : awaiter {
public:
    push_awaiter(outbox& of, const_bytes bytes) noexcept : awaiter(of, bytes, 0) {}

    bool await_ready() noexcept;
    using awaiter::await_suspend;
    push_outcome await_resume() const
    {
        if (waited_ && result() < 0)
            throw_error(-result(), "outbox: push");
        return waited_ ? static_cast<push_outcome>(result()) : outcome_;
    }
    whence::result<push_outcome> outcome() const noexcept
    {
        if (waited_ && result() < 0)
            return error_of(-result());
        return waited_ ? static_cast<push_outcome>(result()) : outcome_;
    }

private:
    push_outcome outcome_ = push_outcome::closed;
};

class [[nodiscard]] outbox::flush_awaiter : awaiter {
public:
    explicit flush_awaiter(outbox& of) noexcept : awaiter(of, {}, of.taken_) {}

    bool await_ready() noexcept;
    using awaiter::await_suspend;
    bool await_resume() const
    {
        if (waited_ && result() < 0)
            throw_error(-result(), "outbox: flush");
        return waited_ ? result() != 0 : sent_;
    }
    whence::result<bool> outcome() const noexcept
    {
        if (waited_ && result() < 0)
            return error_of(-result());
        return waited_ ? result() != 0 : sent_;
    }

private:
    bool sent_ = false;
};

inline outbox::push_awaiter outbox::push(const_bytes message, std::source_location where) noexcept
{
    note_wait(where);
    return push_awaiter{*this, message};
}

inline outbox::push_awaiter outbox::push(std::string_view text, std::source_location where) noexcept
{
    return push(std::as_bytes(std::span{text}), where);
}

inline outbox::flush_awaiter outbox::flush(std::source_location where) noexcept
{
    note_wait(where);
    return flush_awaiter{*this};
}

namespace internal {

template <class Body>
task<> run_and_close(Body& body, outbox& out)
{
    co_await body(out);
    out.close();
}

}  // namespace internal

/// Runs `body(outbox&)` beside an outbox's writer, then sends what is left: the shape of a session
/// that others may write to.
/// errors: what the body threw, then nothing more is sent; what outbox::run() throws, then the body
/// was stopped: its receive() ended with `cancelled`.
template <class Body>
task<> with_outbox(connection& conn, outbox_options options, Body body)
{
    outbox out{conn, options};
    auto writer = out.run();
    auto session = internal::run_and_close(body, out);
    co_await when_all(std::move(writer), std::move(session));
}

}  // namespace whence::inline v0

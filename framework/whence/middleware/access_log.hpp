#pragma once

#include <whence/net/application.hpp>

namespace whence::inline v0 {

/// Says where log lines go.
enum class log_stream : u8 { none, standard_error, standard_output };

/// Logs every connection when it ends: a wrapper. One JSON line:
///   event        "access"
///   time         its end, UTC, RFC 3339 with milliseconds
///   client, server, peer, local, origin      as in connection.hpp
///   version      1 or 2, of the header; only when there was one
///   duration_ms  since the accept
///   bytes_received, bytes_sent   by completed calls, the header included
///   outcome      "closed": the handler returned; "failed": it threw; "reset": the peer broke off,
///                with RST or in the middle of what was awaited; "timed_out": a deadline of the
///                handler, or of TCP; "idle", "write_stalled": ended by time_limits; "cancelled":
///                by a shut-down; or the reason with which a layer further in refused
class access_log {
public:
    explicit access_log(log_stream to = log_stream::standard_error) noexcept : to_(to) {}

    template <class Next>
    task<> operator()(connection& conn, const Next& next) const
    {
        return to_ == log_stream::none ? next(conn) : logged(conn, next, to_);
    }

private:
    template <class Next>
    static task<> logged(connection& conn, const Next& next, log_stream to)
    {
        record entry{conn, to};
        try {
            co_await next(conn);
            entry.ended(nullptr);
        } catch (...) {
            entry.ended(std::current_exception());
            throw;
        }
    }

    /// Writes the line on every way out.
    class record {
    public:
        record(const connection& conn, log_stream to) noexcept : conn_(conn), to_(to) {}
        record(const record&) = delete;
        record& operator=(const record&) = delete;
        ~record();
        void ended(const std::exception_ptr& error) noexcept;

    private:
        void write() const;

        const connection& conn_;
        log_stream to_;
        std::string_view outcome_;
    };

    log_stream to_;
};

}  // namespace whence::inline v0

#pragma once

#include <whence/net/application.hpp>

namespace whence::inline v0 {

/// Says where log lines go.
enum class log_stream : u8 { none, standard_error, standard_output };

/// Logs every connection when it ends: a wrapper. One JSON line:
///   event        "access"
///   time         its end, UTC, RFC 3339 with milliseconds
///   client, server, peer, local, origin      as in connection.hpp
///   duration_ms  since the accept
///   outcome      "closed": the handler returned; "failed": it threw; "cancelled": by a shut-down
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
        co_await next(conn);
        entry.returned();
    }

    /// Writes the line on every way out.
    class record {
    public:
        record(const connection& conn, log_stream to) noexcept : conn_(conn), to_(to) {}
        record(const record&) = delete;
        record& operator=(const record&) = delete;
        ~record();
        void returned() noexcept { returned_ = true; }

    private:
        void write() const;

        const connection& conn_;
        log_stream to_;
        bool returned_ = false;
    };

    log_stream to_;
};

}  // namespace whence::inline v0

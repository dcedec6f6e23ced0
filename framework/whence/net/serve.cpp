#include <whence/net/serve.hpp>

#include <whence/coro/deadline.hpp>
#include <whence/net/report.hpp>
#include <whence/net/server_metrics.hpp>
#include <whence/runtime/runtime.hpp>

#include <utility>

namespace whence::inline v0 {

namespace {

// After a failed accept (no descriptor left, no memory) the next try waits for some to come free.
constexpr nanoseconds accept_pause = 100ms;

/// Tells errors that say no more than "the peer has gone": routine, counted by the kernel.
bool peer_has_gone(const std::error_code& error) noexcept
{
    return error == std::errc::connection_reset || error == std::errc::broken_pipe ||
           error == std::errc::connection_aborted || error == std::errc::timed_out ||
           error == std::errc::not_connected;
}

/// Tells in dumps whom a session works for.
void describe_session(const void* subject, std::string& out)
{
    describe(*static_cast<const connection*>(subject), out);
}

constexpr scope_label handshakes_label{"handshakes", describe_session};
constexpr scope_label sessions_label{"sessions", describe_session};

/// Is one serve() call.
class server {
public:
    server(std::unique_ptr<const application> app, serve_options options)
        : app_(std::move(app)), options_(options)
    {
        handshakes_.set_label(handshakes_label);
        sessions_.set_label(sessions_label);
    }

    task<> accept_from(listener& from);
    /// Ends what is at a gate now, and the sessions by drain_time_max.
    task<> drain();

private:
    internal::spawned session(connection conn);
    task<bool> through_gates(connection& conn);
    bool take(const listener& from, server_metrics& counted, result<connection> accepted) noexcept;
    void end_badly(connection& conn) noexcept;
    void count_end(const connection& conn, std::string_view how) noexcept;
    void refuse(connection& conn, const verdict& why) noexcept;
    task<> cut_short();

    std::unique_ptr<const application> app_;
    serve_options options_;
    scope handshakes_;
    scope sessions_;
};

task<> server::accept_from(listener& from)
{
    server_metrics& counted = server_metrics::of(runtime::current().metrics(), from.local());
    for (;;) {
        auto accepting = as_result(from.accept());
        result<connection> accepted = co_await accepting;
        if (!accepted && accepted.error() == std::errc::operation_canceled)
            co_return;
        const bool taken = take(from, counted, std::move(accepted));
        if (!taken)
            co_await sleep_for(accept_pause);
    }
}

/// Starts a session, or refuses one too many. False: there is no descriptor or memory for it.
bool server::take(const listener& from, server_metrics& counted,
                  result<connection> accepted) noexcept
{
    try {
        if (!accepted && peer_has_gone(accepted.error())) {
            counted.gone_before_accept();
            return true;
        }
        if (!accepted) {
            counted.accept_failed(accepted.error());
            report_accept_failure(from.local(), accepted.error());
            return false;
        }
        counted.accepted(*accepted);
        if (handshakes_.size() < options_.handshakes_max)
            handshakes_.spawn(session(std::move(*accepted)));
        else
            refuse(*accepted, verdict::refuse("too_many_handshakes"));
        return true;
    } catch (const std::bad_alloc&) {
        counted.handshake_left(*accepted, "no_memory");
        return false;
    }
}

/// Has a frame of its own, so that the session's is not larger by it for as long as it lives.
task<bool> server::through_gates(connection& conn)
{
    for (const gate_reference& gate : app_->gates()) {
        const verdict answer = co_await gate(conn);
        if (!answer.passed()) {
            refuse(conn, answer);
            co_return false;
        }
    }
    co_return true;
}

internal::spawned server::session(connection conn)
{
    internal::ctx.current->subject = &conn;
    try {
        const bool passed = co_await through_gates(conn);
        if (!passed)
            co_return;
        sessions_.adopt(*internal::ctx.current);
        conn.metrics()->session_started(conn);
        co_await app_->session(conn);
        conn.metrics()->session_ended(conn, "closed");
        conn.close();
    } catch (...) {
        end_badly(conn);
    }
}

/// Counts a connection that an exception ended.
void server::count_end(const connection& conn, std::string_view how) noexcept
{
    if (internal::ctx.current->owner == &sessions_)
        conn.metrics()->session_ended(conn, how);
    else
        conn.metrics()->handshake_left(conn, how);
}

/// Deals with the exception that ended a session: it concerns this connection only.
void server::end_badly(connection& conn) noexcept
{
    try {
        throw;
    } catch (const cancelled&) {
        count_end(conn, "cancelled");
        conn.close();  // the server is shutting down
    } catch (const refused& refusal) {
        count_end(conn, refusal.why().reason());
        report_refusal(conn, refusal.why());
    } catch (const std::system_error& error) {
        const bool gone = peer_has_gone(error.code());
        count_end(conn, gone ? "reset" : "failed");
        if (!gone)
            report_failure(conn, error.what());
    } catch (const std::exception& error) {
        count_end(conn, "failed");
        report_failure(conn, error.what());
    } catch (...) {
        count_end(conn, "failed");
        report_failure(conn, "an exception of unknown type");
    }
    conn.abort();
}

/// Closes without a byte, and says who and why.
void server::refuse(connection& conn, const verdict& why) noexcept
{
    conn.metrics()->handshake_ended(conn, why);
    report_refusal(conn, why);
    conn.abort();
}

task<> server::drain()
{
    handshakes_.stop();
    co_await handshakes_.join();
    scope clock;
    clock.spawn(cut_short());
    co_await sessions_.join();
    clock.stop();
    co_await clock.join();
}

/// Cancels the sessions that outlast the drain, and reports where they wait.
task<> server::cut_short()
{
    co_await sleep_for(options_.drain_time_max);
    report_cut_drain(sessions_);
    sessions_.stop();
}

}  // namespace

task<> serve(std::vector<listener> listeners, std::unique_ptr<const application> app,
             serve_options options)
{
    server self{std::move(app), options};
    scope accepting;
    for (listener& from : listeners)
        accepting.spawn(self.accept_from(from));
    // Cancelled: the same end, without waiting for anybody.
    auto drain = as_result(runtime::current().drain().wait());
    co_await drain;
    accepting.stop();
    co_await accepting.join();
    listeners.clear();
    co_await self.drain();
}

}  // namespace whence::inline v0

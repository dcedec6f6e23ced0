#include <whence/net/serve.hpp>

#include <whence/coro/deadline.hpp>
#include <whence/net/report.hpp>
#include <whence/net/seat.hpp>
#include <whence/runtime/invoke_on.hpp>

#include <utility>

namespace whence::inline v0 {

namespace {

using internal::seat;
using internal::server_plan;

// After a failed accept (no descriptor left, no memory) the next try waits for some to come free.
constexpr nanoseconds accept_pause = 100ms;

/// Tells errors that say no more than "the peer has gone": routine, counted by the kernel.
bool peer_has_gone(const std::error_code& error) noexcept
{
    return error == std::errc::connection_reset || error == std::errc::broken_pipe ||
           error == std::errc::connection_aborted || error == std::errc::timed_out ||
           error == std::errc::not_connected;
}

/// Is the part of one serve() that lives in one runtime.
class server final : seat::taker {
public:
    server(server_plan& plan, seat& here) noexcept : plan_(plan), here_(here)
    {
        here_.occupy(*this);
    }

    /// Accepts until the event is set, or the strand stopped; then closes the listeners.
    task<> accept_until(event& end, std::vector<listener>& listeners);
    /// Ends what is at a gate now, and the sessions by drain_time_max.
    task<> drain();

private:
    task<> accept_from(listener& from);
    bool admit(const listener& from, result<connection> accepted) noexcept;
    void take(connection given) noexcept override;
    internal::spawned session(connection conn);
    task<bool> through_gates(connection& conn);
    void end_badly(connection& conn) noexcept;
    void refuse(connection& conn, const verdict& why) noexcept;
    task<> cut_short();

    server_plan& plan_;
    seat& here_;
    scope handshakes_;
    scope sessions_;
};

task<> server::accept_until(event& end, std::vector<listener>& listeners)
{
    scope accepting;
    for (listener& from : listeners)
        accepting.spawn(accept_from(from));
    // Cancelled: the same end, without waiting for anybody.
    auto waiting = as_result(end.wait());
    co_await waiting;
    accepting.stop();
    co_await accepting.join();
    listeners.clear();
}

task<> server::accept_from(listener& from)
{
    for (;;) {
        auto accepting = as_result(from.accept());
        result<connection> accepted = co_await accepting;
        if (!accepted && accepted.error() == std::errc::operation_canceled)
            co_return;
        const bool admitted = admit(from, std::move(accepted));
        if (!admitted)
            co_await sleep_for(accept_pause);
    }
}

/// Gives a connection to one of the runtimes, or refuses one too many. False: there is no
/// descriptor or memory for it.
bool server::admit(const listener& from, result<connection> accepted) noexcept
{
    if (!accepted && peer_has_gone(accepted.error()))
        return true;
    if (!accepted) {
        report_accept_failure(from.local(), accepted.error());
        return false;
    }
    if (plan_.handshakes.fetch_add(1, std::memory_order_relaxed) >= plan_.options.handshakes_max) {
        plan_.handshakes.fetch_sub(1, std::memory_order_relaxed);
        refuse(*accepted, verdict::refuse("too_many_handshakes"));
        return true;
    }
    seat& to = plan_.options.spread == spread::balanced ? plan_.idlest() : here_;
    try {
        to.give(std::move(*accepted));
        return true;
    } catch (const std::bad_alloc&) {
        plan_.handshakes.fetch_sub(1, std::memory_order_relaxed);
        return false;
    }
}

/// Starts a session; without memory it is a connection less.
void server::take(connection given) noexcept
{
    try {
        handshakes_.spawn(session(std::move(given)));
    } catch (const std::bad_alloc&) {
        plan_.handshakes.fetch_sub(1, std::memory_order_relaxed);
        here_.leave();
    }
}

/// Has a frame of its own, so that the session's is not larger by it for as long as it lives.
task<bool> server::through_gates(connection& conn)
{
    for (const gate_reference& gate : plan_.app->gates()) {
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
    bool passed = false;
    try {
        passed = co_await through_gates(conn);
    } catch (...) {
        end_badly(conn);
    }
    plan_.handshakes.fetch_sub(1, std::memory_order_relaxed);
    if (passed) {
        try {
            sessions_.adopt(*internal::ctx.current);
            co_await plan_.app->session(conn);
            conn.close();
        } catch (...) {
            end_badly(conn);
        }
    }
    here_.leave();
}

/// Deals with the exception that ended a session: it concerns this connection only.
void server::end_badly(connection& conn) noexcept
{
    try {
        throw;
    } catch (const cancelled&) {
        conn.close();  // the server is shutting down
    } catch (const refused& refusal) {
        refuse(conn, refusal.why());
    } catch (const std::system_error& error) {
        if (!peer_has_gone(error.code()))
            report_failure(conn, error.what());
    } catch (const std::exception& error) {
        report_failure(conn, error.what());
    } catch (...) {
        report_failure(conn, "an exception of unknown type");
    }
    if (conn.ended_by() == end_cause::idle)
        conn.close();  // nothing went wrong: FIN
    conn.abort();
}

/// Closes without a byte, and says who and why.
void server::refuse(connection& conn, const verdict& why) noexcept
{
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
    co_await sleep_for(plan_.options.drain_time_max);
    report_cut_drain(sessions_);
    sessions_.stop();
}

/// Serves in a runtime what it is given and what its own listeners accept, until it is told to end.
task<> serve_here(server_plan& plan, seat& here, std::vector<listener>& listeners)
{
    server self{plan, here};
    co_await self.accept_until(here.end(), listeners);
    {
        // Also when it was cancelled: until then, a connection may be on its way here.
        shield to_the_end{nanoseconds::max()};
        co_await here.end().wait();
    }
    co_await self.drain();
}

}  // namespace

task<> serve(std::vector<listener> listeners, std::unique_ptr<const application> app,
             serve_options options)
{
    runtime& home = runtime::current();
    server_plan plan{std::move(app), options, home.group()};
    std::vector<std::vector<listener>> listeners_of(plan.seats.size());
    server self{plan, plan.seats[home.index()]};
    scope elsewhere;
    for (std::size_t i = 0; i < plan.seats.size(); ++i) {
        if (i == home.index())
            continue;
        elsewhere.spawn(invoke_on(*home.group()[i], [&plan, &of = listeners_of[i], i] {
            return serve_here(plan, plan.seats[i], of);
        }));
    }
    co_await self.accept_until(home.drain(), listeners);
    for (seat& each : plan.seats)
        each.tell_to_end();
    co_await self.drain();
    co_await elsewhere.join();
}

}  // namespace whence::inline v0

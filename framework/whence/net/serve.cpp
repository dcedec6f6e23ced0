#include <whence/net/serve.hpp>

#include <whence/coro/deadline.hpp>
#include <whence/net/outcome.hpp>
#include <whence/net/report.hpp>
#include <whence/net/seat.hpp>
#include <whence/net/server_metrics.hpp>
#include <whence/runtime/invoke_on.hpp>
#include <whence/runtime/service_manager.hpp>

#include <utility>

namespace whence::inline v0 {

namespace {

using namespace internal;

// After a failed accept (no descriptor left, no memory) the next try waits for some to come free.
constexpr nanoseconds accept_pause = 100ms;

/// Tells in dumps whom a session works for.
void describe_session(const void* subject, std::string& out)
{
    describe(*static_cast<const connection*>(subject), out);
}

constexpr scope_label handshakes_label{"handshakes", describe_session};
constexpr scope_label sessions_label{"sessions", describe_session};

/// Is the part of one serve() that lives in one runtime.
class server final : seat::taker {
public:
    server(server_state& shared, seat& here) noexcept : shared_(shared), here_(here)
    {
        here_.occupy(*this);
        handshakes_.set_label(handshakes_label);
        sessions_.set_label(sessions_label);
    }

    ~server() { here_.vacate(); }

    /// Accepts until `delay` after the event is set, or the strand stopped; then closes the
    /// listeners.
    task<> accept_until(event& end, nanoseconds delay, std::vector<listener>& listeners);
    /// Ends what is at a gate now, and the sessions by drain_time_max.
    task<> drain();

private:
    task<> accept_from(listener& from, std::size_t number);
    bool admit(const listener& from, std::size_t number, result<connection> accepted) noexcept;
    void take(seat::arrival given) noexcept override;
    spawned session(connection conn);
    task<bool> through_gates(connection& conn);
    void end_badly(connection& conn) noexcept;
    void refuse(connection& conn, const verdict& why) noexcept;

    server_state& shared_;
    seat& here_;
    scope handshakes_;
    scope sessions_;
};

task<> server::accept_until(event& end, nanoseconds delay, std::vector<listener>& listeners)
{
    // All are made before one is spawned: what finds no memory leaves nothing to join.
    std::vector<spawned> acceptors;
    for (std::size_t i = 0; i < listeners.size(); ++i) {
        acceptors.push_back(strand_of(accept_from(listeners[i], i)));
        acceptors.back().set_name("accept");
    }
    scope accepting;
    for (spawned& one : acceptors)
        accepting.spawn(std::move(one));
    // Cancelled: the same end, without waiting for anybody.
    auto waiting = as_result(end.wait());
    const std::error_code stopped = co_await waiting;
    if (!stopped && delay > nanoseconds::zero()) {
        auto pausing = as_result(sleep_for(delay));
        co_await pausing;
    }
    accepting.stop();
    co_await accepting.join();
    listeners.clear();
}

task<> server::accept_from(listener& from, std::size_t number)
{
    for (;;) {
        auto accepting = as_result(from.accept());
        result<connection> accepted = co_await accepting;
        if (!accepted && accepted.error() == std::errc::operation_canceled)
            co_return;
        const bool admitted = admit(from, number, std::move(accepted));
        if (!admitted)
            co_await sleep_for(accept_pause);
    }
}

/// Gives a connection to one of the runtimes, or refuses one too many. False: there is no
/// descriptor or memory for it.
bool server::admit(const listener& from, std::size_t number, result<connection> accepted) noexcept
{
    server_metrics& counted = here_.metrics_of(number);
    if (!accepted && (peer_has_gone(accepted.error()) || accepted.error() == std::errc::timed_out))
    {
        counted.gone_before_accept();
        return true;
    }
    if (!accepted) {
        counted.accept_failed(accepted.error());
        report_accept_failure(from.local(), accepted.error());
        return false;
    }
    if (!shared_.handshakes.take()) {
        counted.accepted(*accepted);
        refuse(*accepted, verdict::refuse("too_many_handshakes"));
        return true;
    }
    seat& to = shared_.options.spread == spread::balanced ? shared_.idlest() : here_;
    try {
        to.give({std::move(*accepted), number});
        return true;
    } catch (const std::bad_alloc&) {
        shared_.handshakes.give();
        return false;
    }
}

/// Starts a session; without memory it is a connection less.
void server::take(seat::arrival given) noexcept
{
    server_metrics& counted = here_.metrics_of(given.listener);
    counted.accepted(given.conn);
    try {
        handshakes_.spawn(session(std::move(given.conn)));
    } catch (const std::bad_alloc&) {
        counted.handshake_left(given.conn, "no_memory");
        shared_.handshakes.give();
        here_.leave();
    }
}

/// Has a frame of its own, so that the session's is not larger by it for as long as it lives.
task<bool> server::through_gates(connection& conn)
{
    for (const gate_reference& gate : shared_.app->gates()) {
        const verdict answer = co_await gate(conn);
        if (!answer.passed()) {
            refuse(conn, answer);
            co_return false;
        }
    }
    co_return true;
}

spawned server::session(connection conn)
{
    ctx.current->subject = &conn;
    bool passed = false;
    try {
        passed = co_await through_gates(conn);
    } catch (...) {
        end_badly(conn);
    }
    shared_.handshakes.give();
    if (passed) {
        try {
            sessions_.adopt(*ctx.current);
            conn.metrics()->session_started(conn);
            co_await shared_.app->session(conn);
            conn.metrics()->session_ended(conn, outcome_of(conn, nullptr));
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
    const std::string_view outcome = outcome_of(conn, std::current_exception());
    if (ctx.current->owner == &sessions_)
        conn.metrics()->session_ended(conn, outcome);
    else
        conn.metrics()->handshake_left(conn, outcome);
    try {
        throw;
    } catch (const refused& refusal) {
        report_refusal(conn, refusal.why());
    } catch (const std::exception& error) {
        if (outcome == "failed")
            report_failure(conn, error.what());
    } catch (...) {
        report_failure(conn, "an exception of unknown type");
    }
    if (outcome == "cancelled" || conn.ended_by() == end_cause::idle)
        conn.close();  // nothing went wrong: FIN
    conn.abort();
}

/// Closes without a byte, and says who and why.
void server::refuse(connection& conn, const verdict& why) noexcept
{
    conn.metrics()->handshake_refused(conn, why);
    report_refusal(conn, why);
    conn.abort();
}

/// Is the time that the sessions have when the program is asked to end. Reports those that outlast
/// it, before it stops them.
class drain_limit final : public deadline {
public:
    drain_limit(nanoseconds time_max, scope& sessions) noexcept
        : deadline(time_max), sessions_(sessions)
    {}

private:
    time_point due() noexcept override
    {
        const time_point due = deadline::due();
        if (due <= now() && !stopped())
            report_cut_drain(sessions_);
        return due;
    }

    scope& sessions_;
};

task<> server::drain()
{
    handshakes_.stop();
    co_await handshakes_.join();
    drain_limit limit{shared_.options.drain_time_max, sessions_};
    co_await sessions_.join();
}

/// Serves in a runtime what it is given and what its own listeners accept, until it is told to end.
task<> serve_here(server_state& shared, seat& here, std::vector<listener>& listeners)
{
    server self{shared, here};
    task<> draining = self.drain();
    co_await self.accept_until(here.end(), nanoseconds::zero(), listeners);
    {
        // Also when it was cancelled: until then, a connection may be on its way here.
        shield to_the_end{nanoseconds::max()};
        co_await here.end().wait();
    }
    co_await draining;
}

}  // namespace

task<> serve(std::vector<listener> listeners, std::unique_ptr<const application> app,
             serve_options options)
{
    runtime& home = runtime::current();
    server_state shared{std::move(app), options, home.group(), listeners};
    std::vector<std::vector<listener>> listeners_of(shared.seats.size());
    std::vector<spawned> others;
    for (std::size_t i = 0; i < shared.seats.size(); ++i) {
        if (i == home.index())
            continue;
        if (options.spread == spread::reuse_port)
            for (const listener& one : listeners)
                listeners_of[i].push_back(one.clone());
        others.push_back(strand_of(invoke_on(*home.group()[i], [&shared, &of = listeners_of[i], i] {
            return serve_here(shared, shared.seats[i], of);
        })));
    }
    server self{shared, shared.seats[home.index()]};
    task<> accepting = self.accept_until(home.drain(), options.drain_delay, listeners);
    task<> draining = self.drain();
    scope elsewhere;
    for (spawned& one : others)
        elsewhere.spawn(std::move(one));
    notify_ready();
    auto accepted = as_result(std::move(accepting));
    co_await accepted;
    for (seat& each : shared.seats)
        each.tell_to_end();
    co_await draining;
    co_await elsewhere.join();
}

}  // namespace whence::inline v0

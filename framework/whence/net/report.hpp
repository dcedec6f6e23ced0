#pragma once

// Not a public header: what a server says of its connections.

#include <whence/coro/scope.hpp>
#include <whence/net/application.hpp>

namespace whence::inline v0::internal {

/// Says on stderr who was refused and why: one JSON line, {"event":"refused","reason":...}; nothing
/// for a quiet verdict. The runtime limits the rate of such lines.
void report_refusal(const connection& conn, const verdict& why) noexcept;

/// Says on stderr that a session ended with an error of its own: {"event":"session_failed",...}.
void report_failure(const connection& conn, std::string_view what) noexcept;

/// Says on stderr that a listener could not accept: {"event":"accept_failed",...}.
void report_accept_failure(const endpoint& local, const std::error_code& error) noexcept;

/// Says on stderr how many sessions of this runtime outlasted the drain, and of the 16 that have
/// waited longest where, for how long and for whom:
/// {"event":"drain_cut_short","runtime":0,"sessions":2,"waiting_at":[...]}, each as in a line of
/// dump_tasks().
void report_cut_drain(scope& sessions) noexcept;

/// Appends a connection's client, peer, local and listener as members of a JSON object, each with a
/// comma in front.
void describe(const connection& conn, std::string& out);

}  // namespace whence::inline v0::internal

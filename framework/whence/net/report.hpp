#pragma once

#include <whence/coro/scope.hpp>
#include <whence/net/application.hpp>

namespace whence::inline v0 {

/// Says on stderr who was refused and why: one JSON line, {"event":"refused","reason":...}; nothing
/// for a quiet verdict. The runtime limits the rate of such lines.
void report_refusal(const connection& conn, const verdict& why) noexcept;

/// Says on stderr that a session ended with an error of its own: {"event":"session_failed",...}.
void report_failure(const connection& conn, std::string_view what) noexcept;

/// Says on stderr that a listener could not accept: {"event":"accept_failed",...}.
void report_accept_failure(const endpoint& local, const std::error_code& error) noexcept;

/// Says on stderr how many sessions outlasted the drain, and where the first of them wait:
/// {"event":"drain_cut_short",...}.
void report_cut_drain(scope& sessions) noexcept;

}  // namespace whence::inline v0

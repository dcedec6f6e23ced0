#pragma once

// Not a public header: how logs and counters name the end of a session.

#include <whence/net/connection.hpp>

#include <exception>

namespace whence::inline v0::internal {

/// Tells errors that say no more than "the peer has gone": routine, counted by the kernel.
bool peer_has_gone(const std::error_code& error) noexcept;

/// Names how a session ended that threw `error`, or nothing:
///   closed      the handler returned
///   reset       the peer broke off, with RST or in the middle of what was awaited
///   timed_out   by a deadline of the handler, or of TCP
///   cancelled   by a shut-down
///   failed      by any other exception
/// or the limit that ended it (idle, write_stalled), or the reason with which a layer refused.
/// shape: of a fixed set, static.
std::string_view outcome_of(const connection& conn, const std::exception_ptr& error) noexcept;

}  // namespace whence::inline v0::internal

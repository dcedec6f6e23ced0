#pragma once

#include <whence/net/application.hpp>

namespace whence {

/// Says on stderr who was refused and why: one JSON line, {"event":"refused","reason":...}; nothing
/// for a quiet verdict. The runtime limits the rate of such lines.
void report_refusal(const connection& conn, const verdict& why) noexcept;

/// Says on stderr that a session ended with an error of its own: {"event":"session_failed",...}.
void report_failure(const connection& conn, std::string_view what) noexcept;

}  // namespace whence

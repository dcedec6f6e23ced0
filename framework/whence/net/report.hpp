#pragma once

#include <whence/net/application.hpp>

namespace whence {

/// Says on stderr who was refused and why: one JSON line, {"event":"refused","reason":...}; nothing
/// for a quiet verdict. The runtime limits the rate of such lines.
void report_refusal(const connection& conn, const verdict& why);

}  // namespace whence

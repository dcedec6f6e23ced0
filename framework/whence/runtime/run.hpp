#pragma once

#include <whence/runtime/runtime.hpp>

namespace whence::inline v0 {

/// Runs `main` as the program: gives it a runtime and turns signals into the end of the work.
/// SIGINT and SIGTERM start the drain (runtime::drain()), a second one stops everything at once,
/// SIGHUP sets runtime::hangup(), SIGPIPE is ignored. Returns the exit status: 0 when `main` ended,
/// 1 when it threw or no driver can run here, told by one JSON line on stderr.
int run(task<> main) noexcept;

}  // namespace whence::inline v0

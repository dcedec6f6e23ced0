#pragma once

#include <whence/runtime/runtime_group.hpp>

namespace whence::inline v0 {

/// Runs `main` as the program: raises the limit of descriptors to the hard one, gives it runtimes
/// and turns signals into the end of the work. SIGINT and SIGTERM start the drain
/// (runtime::drain()), a second one stops everything at once, SIGHUP sets runtime::hangup(), both
/// in every runtime; SIGUSR1 writes where all tasks wait to stderr; SIGPIPE is ignored. The service
/// manager hears of the drain and of a reload. Returns the exit status: 0 when `main` ended, 1 when
/// it threw or no driver can run here, 2 when the driver that was asked for by name cannot; told by
/// one JSON line on stderr.
int run(task<> main, runtime_options options = {}) noexcept;

}  // namespace whence::inline v0

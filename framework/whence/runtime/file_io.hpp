#pragma once

// Not a public header: only drivers that make the system calls themselves need it.

#include <whence/coro/operation.hpp>

namespace whence::inline v0 {

/// Reads or writes as the operation says, without waiting for another process, whatever kind of
/// descriptor it is and whichever mode it is in: others may have it open as well, so its mode is
/// not ours to change. Files are read and written at once. Returns bytes or minus errno; -EAGAIN
/// means that it shall be tried again when the descriptor is ready.
/// limits: a pipe or terminal may take less than all.
/// source: read(2), write(2), preadv2(2) RWF_NOWAIT, pipe(7).
int read_or_write(const operation& op) noexcept;

}  // namespace whence::inline v0

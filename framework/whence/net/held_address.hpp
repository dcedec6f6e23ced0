#pragma once

// Not a public header: how binding waits for an address to come free.

#include <poll.h>

namespace whence::inline v0::internal {

/// Tries for half a second to get an address that is held. A killed process's io_uring, and with it
/// the socket on which it accepted, is taken down by the kernel some time after the process: a
/// server that is restarted at once would meet it.
/// limits: blocks; for a program's start.
template <class Try>
bool try_while_held(Try succeeds)
{
    constexpr int tries = 25;
    constexpr int pause = 20;  // milliseconds
    for (int i = 1; i < tries; ++i) {
        if (succeeds())
            return true;
        ::poll(nullptr, 0, pause);
    }
    return succeeds();
}

}  // namespace whence::inline v0::internal

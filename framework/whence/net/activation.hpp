#pragma once

#include <whence/net/listener.hpp>

#include <string>
#include <vector>

namespace whence::inline v0 {

/// Is a listener that the service manager opened for this process, and what its unit calls it
/// (FileDescriptorName=; "unknown" when the manager tells no names).
struct activated_listener {
    std::string name;
    listener at;
};

/// Takes the listeners that systemd's socket activation has handed over, in their order: reads
/// LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, and unsets them, so that no child believes they are
/// for it. None when the variables are not there or are another process's. The descriptors become
/// close-on-exec; listener::adopt() says which of the options apply to them.
/// limits: once, before there are other threads (it changes the environment).
/// errors: std::invalid_argument naming the variable that is malformed; std::system_error naming
/// the descriptor that is no listening stream socket. The variables are gone then, too.
/// source: sd_listen_fds(3).
std::vector<activated_listener> take_activated_listeners(const listen_options& options = {});

}  // namespace whence::inline v0

#pragma once

#include <whence/net/connection.hpp>

namespace whence::inline v0 {

/// Connects to an endpoint; TCP_NODELAY is on.
/// limits: no deadline of its own: the kernel's takes minutes.
/// errors: std::system_error naming the endpoint; cancelled.
task<connection> connect(endpoint remote);

}  // namespace whence::inline v0

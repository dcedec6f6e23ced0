#pragma once

// Not a public header: what the gates that judge clients have in common.

#include <whence/net/connection.hpp>

namespace whence::inline v0::internal {

/// Says as whom a connection is judged.
enum class client_kind : u8 {
    address,  // an IP address: the client's own, or one that a trusted proxy named
    user,     // a UNIX peer's user
    local,    // a trusted proxy itself
    unknown,  // nobody can tell: a proxy did not, or the claimed client is a UNIX socket
};

/// Holds whom a connection is judged as.
struct client_identity {
    client_kind kind;
    ip_address address = {};
    u32 uid = 0;
};

client_identity identify_client(const connection& conn);

}  // namespace whence::inline v0::internal

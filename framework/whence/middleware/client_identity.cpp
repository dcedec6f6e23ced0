#include <whence/middleware/client_identity.hpp>

#include <whence/net/socket.hpp>

namespace whence::inline v0::internal {

client_identity identify_client(const connection& conn)
{
    if (conn.origin() == origin::local)
        return {client_kind::local};
    if (conn.origin() == origin::unknown)
        return {client_kind::unknown};
    const endpoint client = conn.client();
    if (client.is_ip())
        return {client_kind::address, client.address().canonical()};
    // The kernel vouches for the user of the other end of our own wire, not for a claimed one's.
    if (client.is_unix() && conn.origin() == origin::direct) {
        if (const auto known = peer_credentials_of(conn.native_handle()))
            return {client_kind::user, {}, known->uid};
    }
    return {client_kind::unknown};
}

}  // namespace whence::inline v0::internal

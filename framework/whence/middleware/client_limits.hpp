#pragma once

#include <whence/net/application.hpp>

namespace whence::inline v0 {

namespace internal {
class client_table;
}

/// Bounds what one client may take of a server.
struct client_limits_options {
    static constexpr u32 unlimited = ~u32{0};

    /// Open at once. Many clients behind one address (an office, a mobile network) count as one.
    u32 connections_per_client_max = 100;
    /// New ones a second, over time; off, since what is much depends on the protocol.
    u32 new_per_second_max = unlimited;
    /// New ones at once after a pause; 0: those of one second.
    u32 new_burst_max = 0;
    /// How many leading bits of an address make the client: a line gets one IPv4 address, but
    /// a /64 at least of IPv6; 56 or 48 also hold one who rents a whole site's.
    u8 ipv4_prefix = 32;
    u8 ipv6_prefix = 64;
    /// Clients that are remembered: those connected now, and those whose rate is still spent. Each
    /// takes 64 bytes and a bucket. At or above limits_options::connections_max it never refuses.
    u32 clients_max = 262'144;
    /// Open at once for the trusted proxies themselves (health checks), and for all whose address
    /// nobody knows.
    u32 local_max = 1'024;
    u32 unknown_max = 1'024;
};

/// Bounds connections at once and new connections a second for each client: a gate. A client is the
/// network of conn.client(), or the user of a UNIX peer. Connections of origin local and unknown,
/// and claimed UNIX addresses, are nobody's: each kind shares a bound of its own, without a rate.
/// shape: copies share their counts, exactly, in all threads. A connection counts until it is
/// closed; one that is refused costs its client nothing.
/// limits: at clients_max one that is away, and its spent rate, is forgotten for a new client; when
/// all are connected, new clients are refused and known ones go on.
/// errors: refuses with reason client_connections, client_rate, too_many_clients,
/// local_connections or unknown_connections; std::bad_alloc before anything is counted.
class client_limits {
public:
    static constexpr bool judges_client = true;

    /// errors: std::invalid_argument naming the option that makes no sense.
    explicit client_limits(client_limits_options options);

    task<verdict> operator()(connection& conn) const;

    /// Counts the clients that are remembered.
    u32 clients() const noexcept;

private:
    verdict judge(connection& conn) const;

    std::shared_ptr<internal::client_table> table_;
};

}  // namespace whence::inline v0

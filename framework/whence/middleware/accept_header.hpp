#pragma once

#include <whence/net/application.hpp>
#include <whence/proxy_protocol/parse.hpp>
#include <whence/proxy_protocol/trust.hpp>

#include <functional>

namespace whence::inline v0::proxy_protocol {

/// Bounds the wait for a header.
struct header_limits {
    /// From the accept. The specification asks for three seconds at least (one lost segment).
    nanoseconds time_max = 5s;
    /// Bytes behind the fixed 16 of version 2; refused at the 16th byte. Senders need far less:
    /// 536 in all is the specification's advice.
    u32 size_max = 4096;
};

/// Refuses what a trusted peer claims: gives the reason in a few words, or null to let it pass.
/// Called for every header, also one that names nobody, before the connection takes it over.
/// shape: the text has static lifetime; called from every thread that serves.
using header_veto = std::function<const char*(const header_view&, const connection&)>;

/// Vetoes a client that cannot be one: a loopback, unspecified or multicast address, or our own
/// address at which the connection arrived.
const char* refuse_local_claims(const header_view& header, const connection& conn);

/// Configures accept().
struct accept_options {
    trust_table trust;  // no default: nobody is trusted until named
    header_limits header = {};
    header_veto veto = {};  // such as refuse_local_claims; none: every claim is believed
};

/// Reads the header of a connection that this table trusts, and lets the connection say whom it is
/// for: the gate of a pipeline.
///   require   exactly the header is consumed; what follows it stays in the receive queue
///   direct    passes; not one byte is interpreted
///   refuse    closed without a byte
/// errors: refuses with reason untrusted, malformed, too_large, too_late, truncated or vetoed; the
/// detail names what came instead of a header, when its first bytes tell (hint.hpp); a peer that
/// closes or resets before its first byte (a health check) is refused quietly.
/// source: proxy-protocol.txt, section 2; docs/proxy_protocol.md names the tests.
class accept {
public:
    static constexpr bool names_client = true;

    explicit accept(accept_options options) : options_(std::move(options)) {}

    task<verdict> operator()(connection& conn) const;

private:
    accept_options options_;
};

/// Does what the gate does, by hand: for a handler that has no pipeline.
/// shape: `trust` is borrowed until the task has ended.
task<verdict> receive(connection& conn, const trust_table& trust, header_limits limits = {});

/// Receives the header by hand and gives the client's address. A refused connection has been
/// aborted and reported.
/// errors: permission_denied (untrusted), protocol_error (malformed, too large), timed_out,
/// connection_aborted (ended within the header).
task<result<endpoint>> client_address(connection& conn, const trust_table& trust,
                                      header_limits limits = {});

}  // namespace whence::inline v0::proxy_protocol

#include <whence/middleware/accept_header.hpp>

#include <whence/coro/deadline.hpp>
#include <whence/net/report.hpp>
#include <whence/net/server_metrics.hpp>
#include <whence/net/socket.hpp>
#include <whence/proxy_protocol/hint.hpp>

#include <algorithm>

namespace whence::inline v0::proxy_protocol {

namespace {

constexpr std::size_t room_min = 256;

constexpr const char* untrusted = "untrusted";
constexpr const char* malformed = "malformed";
constexpr const char* too_large = "too_large";
constexpr const char* too_late = "too_late";
constexpr const char* truncated = "truncated";
constexpr const char* vetoed = "vetoed";

peer_identity identify(const connection& conn)
{
    if (conn.peer().is_unix()) {
        if (const auto known = peer_credentials_of(conn.native_handle()))
            return {conn.peer(), known->uid, known->gid};
    }
    return conn.peer();
}

verdict refusal_of(const parse_result& parsed, const_bytes came)
{
    std::string detail{to_string(parsed.reason)};
    detail += " at byte " + std::to_string(parsed.position);
    const std::string_view hint = hint_of(came);
    if (parsed.status == parse_status::not_proxy && !hint.empty())
        detail.append("; ").append(hint).append(" where a PROXY header was required");
    return verdict::refuse(parsed.reason == parse_reason::too_large ? too_large : malformed,
                           std::move(detail));
}

verdict refusal_at_end(const connection& conn)
{
    if (conn.buffered().empty())
        return verdict::refuse_quietly("closed");
    return verdict::refuse(truncated, "after " + std::to_string(conn.buffered().size()) +
                                          " bytes of the header");
}

verdict refusal_after(const std::error_code& error, bool expired, const connection& conn)
{
    if (expired)
        return verdict::refuse(too_late, "after " + std::to_string(conn.buffered().size()) +
                                             " bytes of the header");
    return verdict::refuse_quietly(error == std::errc::operation_canceled ? "draining" : "reset");
}

verdict refusal_by(const char* objection, const header_view& header)
{
    std::string detail{to_string(header.command())};
    if (header.has_addresses())
        detail = "client " + to_string(header.source());
    return verdict::refuse(vetoed, detail.append(": ").append(objection));
}

/// `veto`: may be null, or empty.
task<verdict> receive_header(connection& conn, const trust_table& trust, header_limits limits,
                             const header_veto* veto)
{
    const trust_decision decision = trust.decide(identify(conn));
    const trust_outcome outcome = decision.outcome;
    if (server_metrics* counted = conn.metrics())
        counted->trust_decided(to_string(outcome), decision.source);
    if (outcome == trust_outcome::refuse)
        co_return verdict::refuse(untrusted);
    if (outcome == trust_outcome::direct)
        co_return verdict::pass();

    const parse_options options{.header_size_max = limits.size_max};
    deadline limit{later(conn.made_at(), limits.time_max)};
    for (;;) {
        const parse_result parsed = parse(conn.buffered(), options);
        if (parsed.status == parse_status::complete) {
            const char* const objection = veto && *veto ? (*veto)(parsed.header, conn) : nullptr;
            if (objection)
                co_return refusal_by(objection, parsed.header);
            conn.set_header(parsed.header);
            conn.consume(parsed.header.size());
            co_return verdict::pass();
        }
        if (parsed.status != parse_status::incomplete)
            co_return refusal_of(parsed, conn.buffered());
        // Room for what has come once more, not for what is announced: memory follows the data.
        const std::size_t room = std::max(conn.buffered().size(), room_min);
        auto filling = as_result(conn.fill(room));
        const result<std::size_t> filled = co_await filling;
        if (!filled)
            co_return refusal_after(filled.error(), limit.expired(), conn);
        if (*filled == 0)
            co_return refusal_at_end(conn);
    }
}

}  // namespace

task<verdict> accept::operator()(connection& conn) const
{
    return receive_header(conn, options_.trust, options_.header, &options_.veto);
}

task<verdict> receive(connection& conn, const trust_table& trust, header_limits limits)
{
    return receive_header(conn, trust, limits, nullptr);
}

const char* refuse_local_claims(const header_view& header, const connection& conn)
{
    const endpoint claimed = header.source();
    if (!claimed.is_ip())
        return nullptr;
    const ip_address client = claimed.address();
    if (client.is_loopback())
        return "a loopback address";
    if (client.is_unspecified())
        return "the unspecified address";
    if (client.is_multicast())
        return "a multicast address";
    if (conn.local().is_ip() && client == conn.local().address())
        return "our own address";
    return nullptr;
}

task<result<endpoint>> client_address(connection& conn, const trust_table& trust,
                                      header_limits limits)
{
    const verdict answer = co_await receive(conn, trust, limits);
    if (answer.passed())
        co_return conn.client();
    whence::internal::report_refusal(conn, answer);
    conn.abort();
    const std::string_view reason = answer.reason();
    if (reason == untrusted)
        co_return std::make_error_code(std::errc::permission_denied);
    if (reason == too_late)
        co_return std::make_error_code(std::errc::timed_out);
    if (reason == malformed || reason == too_large)
        co_return std::make_error_code(std::errc::protocol_error);
    co_return std::make_error_code(std::errc::connection_aborted);
}

}  // namespace whence::inline v0::proxy_protocol

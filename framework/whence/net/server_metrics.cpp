#include <whence/net/server_metrics.hpp>

#include <cstring>

namespace whence::inline v0 {

namespace {

constexpr std::size_t listeners_max = 64;

// Nanoseconds. A header takes a round trip, and its deadline is 5 s unless told otherwise.
constexpr auto handshake_bounds = std::to_array<u64>(
    {1'000'000, 5'000'000, 10'000'000, 25'000'000, 50'000'000, 100'000'000, 250'000'000,
     500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000});

// From a request's 10 ms to a day of a game or a database client.
constexpr auto session_bounds = std::to_array<u64>(
    {10'000'000, 100'000'000, 1'000'000'000, 10'000'000'000, 60'000'000'000, 300'000'000'000,
     1'800'000'000'000, 3'600'000'000'000, 21'600'000'000'000, 86'400'000'000'000});

enum own : u8 {
    accepted_total,
    accept_errors,
    trust_outcomes,
    trust_rules,
    handshakes_pending,
    handshake_duration,
    refused_total,
    left_total,
    sessions_open,
    sessions_started,
    sessions_ended,
    session_duration,
};

constexpr metric own_metrics[] = {
    {.name = "whence_connections_accepted_total",
     .labels = "listener, runtime",
     .meaning = "Connections accepted; by runtime it shows how evenly they are spread.",
     .merge = metric_merge::per_runtime},
    {.name = "whence_accept_errors_total",
     .labels = "listener, error",
     .meaning = "Accepts that failed, by errno: EMFILE is this process's limit of descriptors, "
                "ENFILE the system's."},
    {.name = "whence_trust_outcomes_total",
     .labels = "listener, outcome",
     .meaning = "Decisions about peers: require (must send a header), direct, refuse."},
    {.name = "whence_trust_rules_total",
     .labels = "listener, rule",
     .meaning = "Decisions by the entry of the trust table that made them; none: no entry names "
                "the peer."},
    {.name = "whence_handshakes_pending",
     .labels = "listener",
     .meaning = "Connections before the end of their gates.",
     .type = metric_type::gauge},
    {.name = "whence_handshake_duration_seconds",
     .labels = "listener",
     .meaning = "Time from the accept to the end of the gates, whatever that was.",
     .type = metric_type::histogram,
     .unit = metric_unit::time},
    {.name = "whence_connections_refused_total",
     .labels = "listener, reason",
     .meaning = "Connections refused, by the reason that the log names."},
    {.name = "whence_connections_left_total",
     .labels = "listener, reason",
     .meaning = "Connections that ended before their session without having been refused: closed "
                "or reset by the peer (health checks do that), before_accept, timed_out, draining "
                "or cancelled (by a shut-down), no_memory, failed (a gate threw)."},
    {.name = "whence_sessions_open",
     .labels = "listener",
     .meaning = "Sessions that are open.",
     .type = metric_type::gauge},
    {.name = "whence_sessions_started_total",
     .labels = "listener, header, origin",
     .meaning = "Sessions started, by the version of the PROXY header (v1, v2, none) and by how "
                "the client is known (direct, proxied, local, unknown)."},
    {.name = "whence_sessions_ended_total",
     .labels = "listener, outcome",
     .meaning = "Sessions ended: closed (the handler returned), failed (it threw), cancelled (by "
                "a shut-down), reset (the peer went), timed_out (by a deadline of the handler), or "
                "the reason of the layer that refused to go on, such as idle or write_stalled."},
    {.name = "whence_session_duration_seconds",
     .labels = "listener",
     .meaning = "Time from the accept to the end of a session.",
     .type = metric_type::histogram,
     .unit = metric_unit::time},
};

constexpr std::string_view version_words[] = {"none", "v1", "v2"};

u64 age_of(const connection& conn) noexcept
{
    const nanoseconds age = now() - conn.made_at();
    return static_cast<u64>(std::max(age, nanoseconds::zero()).count());
}

}  // namespace

server_metrics::server_metrics(std::string listener)
    : listener_(std::move(listener)), handshake_duration_(handshake_bounds),
      session_duration_(session_bounds)
{}

server_metrics& server_metrics::of(runtime_metrics& in, const endpoint& listener)
{
    std::size_t known = 0;
    const auto named = [&in, &known](const std::string& wanted) {
        return static_cast<server_metrics*>(in.find([&](metric_block& each) {
            const auto* server = dynamic_cast<const server_metrics*>(&each);
            known += server != nullptr;
            return server && server->listener_ == wanted;
        }));
    };
    std::string text = to_string(listener);
    if (server_metrics* found = named(text))
        return *found;
    if (known >= listeners_max) {
        text = "other";
        if (server_metrics* found = named(text))
            return *found;
    }
    return in.add(std::make_unique<server_metrics>(std::move(text)));
}

void server_metrics::accepted(connection& conn) noexcept
{
    conn.count_in(*this);
    accepted_.add();
    handshakes_pending_.add(1);
}

void server_metrics::accept_failed(const std::error_code& error) noexcept
{
    const char* const word = strerrorname_np(error.value());
    accept_errors_.add(word ? word : "unknown");
}

void server_metrics::trust_decided(std::string_view outcome, std::string_view rule) noexcept
{
    trust_outcomes_.add(outcome);
    trust_rules_.add(rule.empty() ? std::string_view{"none"} : rule);
}

void server_metrics::handshake_over(const connection& conn) noexcept
{
    handshakes_pending_.add(-1);
    handshake_duration_.observe(age_of(conn));
}

void server_metrics::handshake_refused(const connection& conn, const verdict& why) noexcept
{
    handshake_over(conn);
    if (why.quiet())
        left_.add(why.reason());
    else
        refused_.add(why.reason());
}

void server_metrics::handshake_left(const connection& conn, std::string_view how) noexcept
{
    handshake_over(conn);
    left_.add(how);
}

void server_metrics::session_started(const connection& conn) noexcept
{
    handshake_over(conn);
    sessions_open_.add(1);
    const auto header = conn.header();
    const std::size_t version = header ? header->version() : 0;
    started_[std::min(version, versions - 1)][static_cast<std::size_t>(conn.origin())].add();
}

void server_metrics::session_ended(const connection& conn, std::string_view outcome) noexcept
{
    sessions_open_.add(-1);
    session_duration_.observe(age_of(conn));
    ended_.add(outcome);
}

void server_metrics::read(metric_reader& to) const
{
    const metric_label at{"listener", listener_};
    const auto by_word = [&](own which, std::string_view label, const auto& counted) {
        counted.for_each([&](std::string_view word, u64 count) {
            to.number(own_metrics[which], {at, {label, word}}, static_cast<i64>(count));
        });
    };
    to.number(own_metrics[accepted_total], {at}, static_cast<i64>(accepted_.value()));
    by_word(accept_errors, "error", accept_errors_);
    by_word(trust_outcomes, "outcome", trust_outcomes_);
    by_word(trust_rules, "rule", trust_rules_);
    to.number(own_metrics[handshakes_pending], {at}, handshakes_pending_.value());
    to.histogram(own_metrics[handshake_duration], {at}, handshake_duration_.values());
    by_word(refused_total, "reason", refused_);
    by_word(left_total, "reason", left_);
    to.number(own_metrics[sessions_open], {at}, sessions_open_.value());
    for (std::size_t version = 0; version < versions; ++version) {
        for (std::size_t i = 0; i < origins; ++i) {
            const metric_label header{"header", version_words[version]};
            const metric_label known{"origin", to_string(static_cast<origin>(i))};
            if (const u64 count = started_[version][i].value())
                to.number(own_metrics[sessions_started], {at, header, known},
                          static_cast<i64>(count));
        }
    }
    by_word(sessions_ended, "outcome", ended_);
    to.histogram(own_metrics[session_duration], {at}, session_duration_.values());
}

std::span<const metric> server_metrics::all() noexcept
{
    return own_metrics;
}

}  // namespace whence::inline v0

#include <whence/proxy_protocol/trust.hpp>

#include <whence/base/text.hpp>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace whence::inline v0::proxy_protocol {
namespace {

constexpr std::string_view uid_prefix = "unix:uid=";
constexpr std::string_view gid_prefix = "unix:gid=";

[[noreturn]] void refuse_source(const std::string& why)
{
    throw std::invalid_argument("trust: " + why);
}

}  // namespace

std::string_view to_string(trust_outcome value) noexcept
{
    constexpr std::array<std::string_view, 3> names{"refuse", "require", "direct"};
    return names[static_cast<std::size_t>(value)];
}

trust_table::trust_table(std::initializer_list<std::string_view> sources)
    : trust_table(std::vector<std::string>(sources.begin(), sources.end()))
{}

trust_table::trust_table(std::span<const std::string> sources)
{
    for (const auto& source : sources)
        add(source, trust_outcome::require);
    if (rules_.empty())
        refuse_source("no source is named");
}

trust_table& trust_table::add(std::string_view source, trust_outcome outcome)
{
    auto added = parse_rule(source, outcome);
    if (std::ranges::find(rules_, added.text, &rule::text) != rules_.end())
        refuse_source(added.text + " is named twice");
    // Users before groups before networks, longer prefixes before shorter ones.
    const auto rank = [](const rule& one) {
        const auto bits = one.kind == source_kind::network ? one.addresses.prefix_bits() : 0;
        return std::pair{one.kind, -bits};
    };
    const auto place = std::ranges::upper_bound(rules_, rank(added), {}, rank);
    rules_.insert(place, std::move(added));
    return *this;
}

trust_table& trust_table::others(trust_outcome outcome) noexcept
{
    others_ = outcome;
    return *this;
}

trust_decision trust_table::decide(const peer_identity& peer) const noexcept
{
    u32 number = 0;
    for (const auto& one : rules_) {
        if (one.names(peer))
            return {one.outcome, one.text, number};
        ++number;
    }
    return {others_, {}, number};
}

std::string_view trust_table::entry_at(std::size_t number) const noexcept
{
    expects(number <= rules_.size(), "a number of an entry of this table");
    return number < rules_.size() ? std::string_view{rules_[number].text} : "others";
}

bool trust_table::rule::names(const peer_identity& peer) const noexcept
{
    switch (kind) {
    case source_kind::network:
        return peer.address.is_ip() && addresses.contains(peer.address.address());
    case source_kind::unix_uid:
        return peer.address.is_unix() && peer.uid == id;
    case source_kind::unix_gid:
        return peer.address.is_unix() && peer.gid == id;
    }
    return false;
}

trust_table::rule trust_table::parse_rule(std::string_view source, trust_outcome outcome)
{
    constexpr network no_network{ip_address{}, 32};
    const bool is_uid = source.starts_with(uid_prefix);
    if (is_uid || source.starts_with(gid_prefix)) {
        const auto id = parse_number(source.substr(uid_prefix.size()), ~u32{0});
        if (!id)
            refuse_source((is_uid ? "unix:uid " : "unix:gid ") + id.error());
        return {is_uid ? source_kind::unix_uid : source_kind::unix_gid, outcome,
                static_cast<u32>(*id), no_network,
                std::string{is_uid ? uid_prefix : gid_prefix} + std::to_string(*id)};
    }
    if (source.starts_with("unix:"))
        refuse_source("a UNIX peer is named by \"unix:uid=N\" or \"unix:gid=N\", not by a path");
    const auto addresses = network::parse(source);
    if (!addresses)
        refuse_source(addresses.error());
    return {source_kind::network, outcome, 0, *addresses, to_string(*addresses)};
}

}  // namespace whence::inline v0::proxy_protocol

#pragma once

#include <whence/address/endpoint.hpp>
#include <whence/address/network.hpp>

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace whence::inline v0::proxy_protocol {

/// Says what happens to a connection, decided by who made it before a byte is read.
enum class trust_outcome : u8 {
    refuse,   ///< closed at once
    require,  ///< a valid header must come first
    direct,   ///< served as itself; not one byte is taken for a header
};

/// Returns the name: "refuse", "require", "direct".
std::string_view to_string(trust_outcome value) noexcept;

/// Holds what the kernel says about the other end.
struct peer_identity {
    peer_identity(endpoint peer_address) noexcept : address(std::move(peer_address)) {}
    /// Makes the identity of a UNIX peer from its SO_PEERCRED.
    peer_identity(endpoint peer_address, u32 peer_uid, u32 peer_gid) noexcept
        : address(std::move(peer_address)), uid(peer_uid), gid(peer_gid)
    {}

    endpoint address;
    std::optional<u32> uid;
    std::optional<u32> gid;
};

/// Holds an outcome and the entry that made it.
struct trust_decision {
    trust_outcome outcome;
    /// Names the entry as the table prints it; empty when no entry names the peer. It lives as long
    /// as the table.
    std::string_view source;
    /// Numbers the entry for counters: below size(), or size() for those whom no entry names.
    u32 entry = 0;
};

/// Says which peers speak for others. The longest matching prefix decides; ::ffff:a.b.c.d counts as
/// IPv4 and scopes do not count. UNIX peers are known by user, then group, never by a name.
/// shape: an entry is a network or an address ("10.0.0.0/8", "2001:db8::7"), "unix:uid=N" or
/// "unix:gid=N". Everybody else is refused unless `others` says otherwise.
/// limits: a search looks at every entry; meant for up to some hundreds.
/// errors: std::invalid_argument naming the entry, when one is not understood or comes twice, or
/// when there is none: a table that trusts nobody is a mistake.
class trust_table {
public:
    trust_table() = delete;
    /// Makes a table whose entries must send a header.
    trust_table(std::initializer_list<std::string_view> sources);
    explicit trust_table(std::span<const std::string> sources);

    /// Adds an entry with an outcome of its own, such as one address to refuse in a trusted
    /// network.
    trust_table& add(std::string_view source, trust_outcome outcome);
    /// Sets what happens to those whom no entry names.
    trust_table& others(trust_outcome outcome) noexcept;

    /// Decides about a peer.
    trust_decision decide(const peer_identity& peer) const noexcept;

    /// Counts the entries.
    std::size_t size() const noexcept { return rules_.size(); }
    /// Returns the entry of a number as the table prints it; "others" for size().
    /// shape: lives as long as the table; adding an entry numbers them anew.
    std::string_view entry_at(std::size_t number) const noexcept;

private:
    enum class source_kind : u8 { network, unix_uid, unix_gid };
    struct rule {
        source_kind kind;
        trust_outcome outcome;
        u32 id;             // of a user or group
        network addresses;  // of a network
        std::string text;
        bool names(const peer_identity& peer) const noexcept;
    };
    static rule parse_rule(std::string_view source, trust_outcome outcome);

    std::vector<rule> rules_;  // the first that names the peer decides: longest prefixes first
    trust_outcome others_ = trust_outcome::refuse;
};

}  // namespace whence::inline v0::proxy_protocol

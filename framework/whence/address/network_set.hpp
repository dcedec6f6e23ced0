#pragma once

#include <whence/address/network.hpp>

#include <vector>

namespace whence::inline v0 {

/// Holds networks, and tells whether an address lies in one of them.
/// shape: 32 bytes a network, sorted; one that lies within another is dropped, so a search is one
/// bisection however many prefix lengths there are.
class network_set {
public:
    network_set() = default;
    explicit network_set(std::vector<network> networks);

    /// Tells whether an address lies within; ::ffff:a.b.c.d counts as a.b.c.d.
    bool contains(const ip_address& address) const noexcept;

    /// Counts the networks that are left: none lies within another.
    std::size_t size() const noexcept { return networks_.size(); }

private:
    std::vector<network> networks_;
};

}  // namespace whence::inline v0

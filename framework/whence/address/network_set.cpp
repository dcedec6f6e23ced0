#include <whence/address/network_set.hpp>

#include <algorithm>
#include <tuple>

namespace whence::inline v0 {

network_set::network_set(std::vector<network> networks) : networks_(std::move(networks))
{
    // Two networks are apart or one holds the other, which then comes first and right before.
    std::ranges::sort(networks_, {}, [](const network& one) {
        return std::tuple{one.address(), one.prefix_bits()};
    });
    auto kept = networks_.begin();
    for (const network& next : networks_) {
        if (kept != networks_.begin() && kept[-1].contains(next.address()))
            continue;
        *kept++ = next;
    }
    networks_.erase(kept, networks_.end());
    networks_.shrink_to_fit();
}

bool network_set::contains(const ip_address& address) const noexcept
{
    const ip_address wanted = address.canonical();
    const auto behind = std::ranges::upper_bound(networks_, wanted, {}, &network::address);
    return behind != networks_.begin() && behind[-1].contains(wanted);
}

}  // namespace whence::inline v0

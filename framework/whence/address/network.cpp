#include <whence/address/network.hpp>

#include <whence/base/text.hpp>

#include <algorithm>

namespace whence::inline v0 {

result<network, std::string> network::parse(std::string_view text)
{
    const auto slash = std::min(text.find('/'), text.size());
    const auto address = ip_address::parse(text.substr(0, slash));
    if (!address)
        return address.error();
    auto prefix_bits = address->bits();
    if (slash != text.size()) {
        const auto number = parse_number(text.substr(slash + 1), prefix_bits);
        if (!number)
            return quoted(text) + ": prefix " + number.error();
        prefix_bits = static_cast<u8>(*number);
    }
    const auto first = address->leading(prefix_bits);
    const network meant{first, prefix_bits};
    if (first != *address)
        return quoted(text) + ": bits set behind the prefix; did you mean " + to_string(meant) +
               "?";
    return meant;
}

std::string to_string(const network& value)
{
    return to_string(value.address()) + "/" + std::to_string(value.prefix_bits());
}

}  // namespace whence::inline v0

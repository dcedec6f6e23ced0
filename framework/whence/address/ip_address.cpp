#include <whence/address/ip_address.hpp>

#include <whence/base/text.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace whence::inline v0 {
namespace {

constexpr unsigned not_hex = 16;

constexpr auto hex_values = [] {
    std::array<u8, 256> values{};
    values.fill(not_hex);
    for (unsigned i = 0; i < 10; ++i)
        values['0' + i] = static_cast<u8>(i);
    for (unsigned i = 0; i < 6; ++i)
        values['a' + i] = values['A' + i] = static_cast<u8>(10 + i);
    return values;
}();

unsigned hex_value(char digit) noexcept
{
    return hex_values[static_cast<unsigned char>(digit)];
}

unsigned decimal_value(char digit) noexcept
{
    return static_cast<unsigned>(digit) - '0';  // above 9 for everything that is no digit
}

/// Reads a number 0 to 255 without leading zeros; null when there is no such thing.
inline const char* scan_octet(const char* at, const char* last, u32& out) noexcept
{
    if (at == last)
        return nullptr;
    u32 value = decimal_value(*at);
    if (value > 9)
        return nullptr;
    if (++at != last && decimal_value(*at) <= 9) {
        if (value == 0)
            return nullptr;
        value = value * 10 + decimal_value(*at);
        if (++at != last && decimal_value(*at) <= 9) {
            value = value * 10 + decimal_value(*at);
            if (value > 255 || (++at != last && decimal_value(*at) <= 9))
                return nullptr;
        }
    }
    out = out << 8 | value;
    return at;
}

/// Reads four octets with dots between them; null when there is no such thing.
const char* scan_dotted_quad(const char* at, const char* last, u32& out) noexcept
{
    out = 0;
    for (int part = 0; part < 4; ++part) {
        if (part > 0 && (at == last || *at++ != '.'))
            return nullptr;
        at = scan_octet(at, last, out);
        if (at == nullptr)
            return nullptr;
    }
    return at;
}

/// Up to eight 16-bit groups, the last one at the low end of 128 bits.
struct groups {
    u64 high = 0;
    u64 low = 0;
    unsigned count = 0;

    void add(unsigned group) noexcept
    {
        high = high << 16 | low >> 48;
        low = low << 16 | group;
        ++count;
    }
    /// Makes room for `more` groups of zeros behind the ones that are there.
    void shift(unsigned more) noexcept
    {
        const auto bits = more * 16;
        if (bits >= 64) {
            high = bits == 128 ? 0 : low << (bits - 64);
            low = 0;
        } else if (bits > 0) {
            high = high << bits | low >> (64 - bits);
            low <<= bits;
        }
    }
};

/// Finds the longest run of at least two zero groups, the first one of several: {begin, end}.
std::array<unsigned, 2> longest_zero_run(const std::array<u16, 8>& groups) noexcept
{
    std::array<unsigned, 2> best{0, 0};
    for (unsigned begin = 0; begin < 8; ++begin) {
        unsigned end = begin;
        while (end < 8 && groups[end] == 0)
            ++end;
        if (end - begin > best[1] - best[0] && end - begin >= 2)
            best = {begin, end};
        begin = std::max(begin, end);
    }
    return best;
}

char* print_v4(char* at, u32 number) noexcept
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        at = std::to_chars(at, at + 3, number >> shift & 0xff).ptr;
        if (shift > 0)
            *at++ = '.';
    }
    return at;
}

char* print_v6(char* at, const std::array<u16, 8>& groups) noexcept
{
    const auto [begin, end] = longest_zero_run(groups);
    for (unsigned i = 0; i < 8; ++i) {
        if (end != 0 && i == begin) {
            *at++ = ':';
            *at++ = ':';
            i = end;
            if (i == 8)
                break;
        } else if (i > 0) {
            *at++ = ':';
        }
        at = std::to_chars(at, at + 4, groups[i], 16).ptr;
    }
    return at;
}

}  // namespace

const char* ip_address::scan_v4(const char* first, const char* last, ip_address& out) noexcept
{
    u32 number = 0;
    const auto* end = scan_dotted_quad(first, last, number);
    out = ip_address{0, u64{0xffff} << 32 | number, true};
    return end;
}

const char* ip_address::scan_v6(const char* first, const char* last, ip_address& out) noexcept
{
    const auto* at = first;
    const auto double_colon = [last](const char* p) {
        return last - p >= 2 && p[0] == ':' && p[1] == ':';
    };
    groups head;  // what stood before "::"
    groups read;  // since then, or since the start
    bool gap = double_colon(at);
    if (gap)
        at += 2;
    while (head.count + read.count < 8) {
        const auto* begin = at;
        unsigned value = 0;
        for (unsigned digit; at != last && (digit = hex_value(*at)) != not_hex; ++at)
            value = value << 4 | digit;
        if (at == begin && gap && read.count == 0)
            break;  // nothing follows "::"
        if (at == begin || at - begin > 4)
            return nullptr;
        if (at != last && *at == '.') {
            u32 quad = 0;
            at = head.count + read.count <= 6 ? scan_dotted_quad(begin, last, quad) : nullptr;
            if (at == nullptr)
                return nullptr;
            read.add(quad >> 16);
            read.add(quad & 0xffff);
            break;
        }
        read.add(value);
        if (head.count + read.count == 8 || at == last || *at != ':')
            break;
        if (double_colon(at)) {
            if (gap)
                return nullptr;
            gap = true;
            head = std::exchange(read, {});
            ++at;
        }
        ++at;
    }
    if (gap == (head.count + read.count == 8))
        return nullptr;
    head.shift(8 - head.count);
    out = ip_address{head.high | read.high, head.low | read.low, false};
    return at;
}

result<ip_address, std::string> ip_address::parse(std::string_view text)
{
    const bool v6 = text.find(':') != text.npos;
    const auto* last = text.data() + text.size();
    ip_address address;
    if ((v6 ? scan_v6 : scan_v4)(text.data(), last, address) == last && !text.empty())
        return address;
    return quoted(text) + (v6 ? ": not an IPv6 address"
                              : ": not an IPv4 address (four numbers 0 to 255, no leading zeros)");
}

std::string_view ip_address::print(std::span<char, text_size_max> room) const noexcept
{
    auto* at = room.data();
    if (v4_) {
        at = print_v4(at, v4_number());
    } else if (is_v4_mapped()) {
        at = print_v4(std::ranges::copy(std::string_view{"::ffff:"}, at).out, v4_number());
    } else {
        std::array<u16, 8> groups;
        for (unsigned i = 0; i < 8; ++i)
            groups[i] = static_cast<u16>((i < 4 ? high_ : low_) >> (48 - i % 4 * 16));
        at = print_v6(at, groups);
    }
    return {room.data(), at};
}

std::string to_string(const ip_address& address)
{
    std::array<char, ip_address::text_size_max> room;
    return std::string{address.print(room)};
}

}  // namespace whence::inline v0

std::size_t
std::hash<whence::ip_address>::operator()(const whence::ip_address& address) const noexcept
{
    // Multiply and fold twice: every input bit reaches every output bit.
    auto value = (address.high_ ^ 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
    value = (value ^ value >> 32 ^ address.low_) * 0xc4ceb9fe1a85ec53;
    return static_cast<std::size_t>(value ^ value >> 29 ^ (address.v4_ ? 1 : 0));
}

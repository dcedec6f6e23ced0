#include <whence/base/text.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <span>

namespace whence::inline v0 {
namespace {

struct unit {
    std::string_view name;
    u64 factor;
};

constexpr auto duration_units = std::to_array<unit>({
    {"h", 3'600'000'000'000},
    {"m", 60'000'000'000},
    {"s", 1'000'000'000},
    {"ms", 1'000'000},
    {"us", 1'000},
    {"ns", 1},
});
constexpr auto size_units = std::to_array<unit>({
    {"GiB", u64{1} << 30},
    {"MiB", u64{1} << 20},
    {"KiB", u64{1} << 10},
    {"B", 1},
    {"", 1},
});

result<u64, std::string> parse_quantity(std::string_view text, std::span<const unit> units,
                                        u64 value_max)
{
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto found = std::ranges::find(units, text.substr(digits), &unit::name);
    if (digits == 0)
        return quoted(text) + ": must begin with a number";
    if (found == units.end()) {
        std::string names;
        for (const auto& known : units)
            if (!known.name.empty())
                names.append(" ").append(known.name);
        return quoted(text) + ": the unit must be one of" + names;
    }
    auto number = parse_number(text.substr(0, digits), value_max / found->factor);
    if (!number)
        return quoted(text) + ": is too large";
    return *number * found->factor;
}

std::string quantity_text(u64 value, std::span<const unit> units)
{
    const auto exact = std::ranges::find_if(
        units, [value](const unit& one) { return value >= one.factor && value % one.factor == 0; });
    const auto& chosen = exact == units.end() ? units.back() : *exact;
    return std::to_string(value / chosen.factor).append(chosen.name);
}

}  // namespace

result<std::chrono::nanoseconds, std::string> parse_duration(std::string_view text)
{
    auto value = parse_quantity(text, duration_units, std::numeric_limits<i64>::max());
    if (!value)
        return value.error();
    return std::chrono::nanoseconds{static_cast<i64>(*value)};
}

std::string duration_text(std::chrono::nanoseconds duration)
{
    const auto count = duration.count();
    if (count == 0)
        return "0s";
    const auto magnitude = count < 0 ? u64{0} - static_cast<u64>(count) : static_cast<u64>(count);
    return (count < 0 ? "-" : "") + quantity_text(magnitude, duration_units);
}

result<u64, std::string> parse_size(std::string_view text)
{
    return parse_quantity(text, size_units, ~u64{0});
}

std::string size_text(u64 bytes)
{
    if (bytes % 1024 != 0 || bytes == 0)
        return std::to_string(bytes);
    return quantity_text(bytes, size_units);
}

result<u64, std::string> parse_number(std::string_view text, u64 value_max)
{
    u64 value = 0;
    const auto* last = text.data() + text.size();
    const auto read = std::from_chars(text.data(), last, value);
    if (read.ec == std::errc::invalid_argument || read.ptr != last)
        return quoted(text) + ": must be a whole number";
    if (read.ec != std::errc{} || value > value_max)
        return quoted(text) + ": must be at most " + std::to_string(value_max);
    return value;
}

std::string hex_text(const_bytes bytes)
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const auto byte : bytes) {
        text += digits[std::to_integer<unsigned>(byte) >> 4];
        text += digits[std::to_integer<unsigned>(byte) & 15];
    }
    return text;
}

result<std::vector<std::byte>, std::string> parse_hex(std::string_view text)
{
    if (text.size() % 2 != 0)
        return quoted(text) + ": must have an even number of hexadecimal digits";
    std::vector<std::byte> bytes(text.size() / 2);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        u8 value = 0;
        const auto* first = text.data() + 2 * i;
        if (std::from_chars(first, first + 2, value, 16).ptr != first + 2)
            return quoted(text) + ": must be hexadecimal digits";
        bytes[i] = std::byte{value};
    }
    return bytes;
}

std::size_t utf8_size(std::string_view text) noexcept
{
    const auto at = [text](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
    };
    const auto continues = [at](std::size_t i) { return (at(i) & 0xc0) == 0x80; };
    const auto lead = at(0);
    if (lead < 0x80)
        return text.empty() ? 0 : 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return continues(1) ? 2 : 0;
    // The second byte's range keeps out overlong forms, surrogates and what lies above U+10FFFF.
    const auto second_min = lead == 0xe0 ? 0xa0u : lead == 0xf0 ? 0x90u : 0x80u;
    const auto second_max = lead == 0xed ? 0x9fu : lead == 0xf4 ? 0x8fu : 0xbfu;
    if (at(1) < second_min || at(1) > second_max || !continues(2))
        return 0;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    return lead >= 0xf0 && lead <= 0xf4 && continues(3) ? 4 : 0;
}

bool is_utf8(std::string_view text) noexcept
{
    while (!text.empty()) {
        const auto size = utf8_size(text);
        if (size == 0)
            return false;
        text.remove_prefix(size);
    }
    return true;
}

void json_text(std::string& out, std::string_view text)
{
    out += '"';
    while (!text.empty()) {
        const auto size = utf8_size(text);
        const auto first = text.front();
        if (size == 0) {
            out += "\xef\xbf\xbd";
        } else if (first == '"' || first == '\\') {
            out.append({'\\', first});
        } else if (static_cast<unsigned char>(first) < 0x20 || first == 0x7f) {
            out.append("\\u00").append(hex_text(as_bytes(text.substr(0, 1))));
        } else {
            out.append(text.substr(0, size));
        }
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
    out += '"';
}

std::string quoted(std::string_view text)
{
    std::string out;
    json_text(out, text);
    return out;
}

}  // namespace whence::inline v0

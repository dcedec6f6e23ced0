#include <whence/address/endpoint.hpp>

#include <whence/base/text.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

namespace whence::inline v0 {
namespace {

constexpr std::string_view unix_prefix = "unix:";

std::string refusal(std::string_view text, std::string_view why, std::size_t where)
{
    return quoted(text).append(": ").append(why).append(", at byte ") + std::to_string(where);
}

/// Bytes that print as themselves. '@' does only behind the first place, where it means abstract.
bool prints_as_itself(char byte, bool first) noexcept
{
    return byte > 0x20 && byte < 0x7f && byte != '\\' && !(first && byte == '@');
}

char* print_name(char* at, std::string_view name, bool is_path) noexcept
{
    for (std::size_t i = 0; i < name.size(); ++i) {
        const auto byte = name[i];
        if (prints_as_itself(byte, is_path && i == 0)) {
            *at++ = byte;
        } else if (byte == '\\') {
            at = std::ranges::copy(std::string_view{"\\\\"}, at).out;
        } else {
            constexpr std::string_view digits = "0123456789abcdef";
            const auto value = static_cast<unsigned char>(byte);
            for (const auto c : {'\\', 'x', digits[value >> 4], digits[value & 15u]})
                *at++ = c;
        }
    }
    return at;
}

/// A UNIX name while its escapes are being undone.
struct unescaped_name {
    std::array<char, endpoint::unix_path_size_max> bytes;
    std::size_t size = 0;
    std::string_view view() const noexcept { return {bytes.data(), size}; }
};

result<unescaped_name, std::string> unescape(std::string_view text, std::size_t begin,
                                             std::size_t size_max)
{
    unescaped_name name;
    for (auto at = begin; at < text.size();) {
        auto byte = text[at];
        const auto start = at++;
        if (byte == '\\' && text.substr(at, 1) == "\\") {
            ++at;
        } else if (byte == '\\') {
            u8 value = 0;
            const auto* digits = text.data() + std::min(at + 1, text.size());
            if (text.substr(at, 1) != "x" || text.size() < at + 3 ||
                std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2)
                return refusal(text, "'\\' must begin \\\\ or \\xNN", start);
            byte = static_cast<char>(value);
            at += 3;
        }
        if (name.size == size_max)
            return refusal(text, "UNIX name longer than " + std::to_string(size_max) + " bytes",
                           start);
        name.bytes[name.size++] = byte;
    }
    return name;
}

result<endpoint, std::string> parse_unix(std::string_view text)
{
    auto begin = unix_prefix.size();
    if (text.size() == begin)
        return endpoint::unix_unnamed();
    const bool abstract = text[begin] == '@';
    begin += abstract ? 1 : 0;
    const auto name = unescape(
        text, begin, abstract ? endpoint::unix_abstract_size_max : endpoint::unix_path_size_max);
    if (!name)
        return name.error();
    if (abstract)
        return endpoint::unix_abstract(name->view());
    if (name->view().find('\0') != std::string_view::npos)
        return refusal(text, "a path cannot hold NUL", begin);
    return endpoint::unix_path(name->view());
}

/// Reads a number that ends where `ends_at` says; nothing when it is missing or too large.
template <class Integer>
std::optional<Integer> scan_number(std::string_view text, std::size_t begin,
                                   std::size_t end) noexcept
{
    Integer value = 0;
    const auto* last = text.data() + end;
    const auto read = std::from_chars(text.data() + begin, last, value);
    const bool padded = end - begin > 1 && text[begin] == '0';
    return read.ec == std::errc{} && read.ptr == last && !padded ? std::optional{value}
                                                                 : std::nullopt;
}

result<endpoint, std::string> with_port(std::string_view text, std::size_t colon,
                                        const ip_address& address, u32 scope_id)
{
    if (text.substr(colon, 1) != ":")
        return refusal(text, "':' and a port expected", colon);
    const auto port = scan_number<u16>(text, colon + 1, text.size());
    if (!port)
        return refusal(text, "the port must be a number from 0 to 65535", colon + 1);
    return endpoint{address, *port, scope_id};
}

result<endpoint, std::string> parse_v6(std::string_view text)
{
    const auto close = text.find(']');
    if (close == text.npos)
        return refusal(text, "no ']' after the IPv6 address", text.size());
    const auto percent = std::min(text.find('%'), close);
    ip_address address;
    if (ip_address::scan_v6(text.data() + 1, text.data() + percent, address) !=
        text.data() + percent)
        return refusal(text, "not an IPv6 address", 1);
    u32 scope_id = 0;
    if (percent != close) {
        const auto scope = scan_number<u32>(text, percent + 1, close);
        if (!scope)
            return refusal(text, "the scope must be a number", percent + 1);
        scope_id = *scope;
    }
    return with_port(text, close + 1, address, scope_id);
}

}  // namespace

endpoint::endpoint(endpoint_kind kind, std::string_view name)
    : kind_(kind), name_size_(static_cast<u8>(name.size()))
{
    own_name(name.data());
}

void endpoint::own_name(const char* bytes)
{
    auto* copy = new char[name_size_ + std::size_t{1}];  // never empty, so never a null source
    std::copy_n(bytes, name_size_, copy);
    high_ = reinterpret_cast<std::uintptr_t>(copy);
}

endpoint endpoint::unix_path(std::string_view path)
{
    expects(!path.empty() && path.size() <= unix_path_size_max, "UNIX path of 1 to 108 bytes");
    expects(path.find('\0') == path.npos, "UNIX path without NUL");
    return {endpoint_kind::unix_path, path};
}

endpoint endpoint::unix_abstract(std::string_view name)
{
    expects(name.size() <= unix_abstract_size_max, "abstract UNIX name of at most 107 bytes");
    return {endpoint_kind::unix_abstract, name};
}

endpoint endpoint::unix_unnamed() noexcept
{
    endpoint unnamed;
    unnamed.kind_ = endpoint_kind::unix_unnamed;
    return unnamed;
}

result<endpoint, std::string> endpoint::parse(std::string_view text)
{
    if (text == "-")
        return endpoint{};
    if (text.starts_with(unix_prefix))
        return parse_unix(text);
    if (text.starts_with('['))
        return parse_v6(text);
    ip_address address;
    const auto colon = std::min(text.find(':'), text.size());
    if (ip_address::scan_v4(text.data(), text.data() + colon, address) != text.data() + colon)
        return refusal(text, "neither an IPv4 address nor '[' nor \"unix:\"", 0);
    return with_port(text, colon, address, 0);
}

std::string_view endpoint::print(std::span<char, text_size_max> room) const noexcept
{
    auto* at = room.data();
    auto* const last = room.data() + room.size();
    const auto put = [&at](std::string_view text) { at = std::ranges::copy(text, at).out; };
    if (empty()) {
        put("-");
    } else if (is_unix()) {
        put(kind_ == endpoint_kind::unix_abstract ? "unix:@" : "unix:");
        at = print_name(at, unix_name(), kind_ == endpoint_kind::unix_path);
    } else {
        std::array<char, ip_address::text_size_max> text;
        const bool v6 = kind_ == endpoint_kind::ipv6;
        put(v6 ? "[" : "");
        put(address().print(text));
        if (scope_id_ != 0) {
            put("%");
            at = std::to_chars(at, last, scope_id_).ptr;
        }
        put(v6 ? "]:" : ":");
        at = std::to_chars(at, last, port_).ptr;
    }
    return {room.data(), at};
}

std::strong_ordering operator<=>(const endpoint& a, const endpoint& b) noexcept
{
    if (a.kind_ != b.kind_)
        return a.kind_ <=> b.kind_;
    if (!a.is_ip())
        return a.unix_name() <=> b.unix_name();
    for (const auto order : {a.high_ <=> b.high_, a.low_ <=> b.low_})
        if (order != 0)
            return order;
    const auto order = a.port_ <=> b.port_;
    return order != 0 ? order : a.scope_id_ <=> b.scope_id_;
}

std::string to_string(const endpoint& value)
{
    std::array<char, endpoint::text_size_max> room;
    return std::string{value.print(room)};
}

}  // namespace whence::inline v0

std::size_t std::hash<whence::endpoint>::operator()(const whence::endpoint& value) const noexcept
{
    const auto tail = whence::u64{value.port()} << 40 ^ whence::u64{value.scope_id()} << 8 ^
                      static_cast<whence::u64>(value.kind());
    const auto head = value.is_ip() ? std::hash<whence::ip_address>{}(value.address())
                                    : std::hash<std::string_view>{}(value.unix_name());
    auto mixed = (head ^ tail) * 0x9e3779b97f4a7c15;
    return static_cast<std::size_t>(mixed ^ mixed >> 32);
}

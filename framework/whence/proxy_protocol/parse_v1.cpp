#include <whence/proxy_protocol/parse_v1.hpp>

#include <whence/base/text.hpp>

#include <algorithm>

// Version 1, one line of at most 107 bytes:
//
//   PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n
//   PROXY UNKNOWN anything\r\n
//         ^6   ^11
//
// The addresses are decoded once the whole line is there. The straight way through a valid line
// looks at each byte once; why a line is wrong is found out afterwards.

namespace whence::inline v0::proxy_protocol::internal {
namespace {

constexpr std::size_t word_begin = 6;
constexpr std::size_t addresses_begin = 11;
constexpr auto npos = std::string_view::npos;

enum class line_kind : u8 { undecided, wrong, tcp4, tcp6, unknown };

/// Decides by the word behind "PROXY ", as early as its letters allow.
line_kind read_word(std::string_view rest) noexcept
{
    if (rest.starts_with("TCP4 "))
        return line_kind::tcp4;
    if (rest.starts_with("TCP6 "))
        return line_kind::tcp6;
    if (rest.starts_with("UNKNOWN ") || rest.starts_with("UNKNOWN\r"))
        return line_kind::unknown;
    for (const std::string_view word : {"TCP4", "TCP6", "UNKNOWN"})
        if (word.starts_with(rest))
            return line_kind::undecided;
    return line_kind::wrong;
}

/// Reads a port at the start of [at, last); null when there is none.
const char* scan_port(const char* at, const char* last, u16& out) noexcept
{
    const auto* begin = at;
    u32 value = 0;
    for (; at != last && *at >= '0' && *at <= '9' && at - begin < 5; ++at)
        value = value * 10 + static_cast<u32>(*at - '0');
    const bool padded = at - begin > 1 && *begin == '0';
    if (at == begin || padded || value > 65535)
        return nullptr;
    out = static_cast<u16>(value);
    return at;
}

struct address_pair {
    ip_address address[2];
    u16 port[2] = {};
};

const char* scan_address(const char* at, const char* last, line_kind kind, bool ipv4_in_tcp6,
                         ip_address& out) noexcept
{
    if (kind == line_kind::tcp4)
        return ip_address::scan_v4(at, last, out);
    const auto* end = ip_address::scan_v6(at, last, out);
    return end == nullptr && ipv4_in_tcp6 ? ip_address::scan_v4(at, last, out) : end;
}

/// Reads the four fields of [at, last), behind which a CR stands; returns the number of the first
/// wrong one, 4 when all are right.
int read_fields(const char* at, const char* last, line_kind kind, bool ipv4_in_tcp6,
                address_pair& out) noexcept
{
    for (int i = 0; i < 2; ++i) {
        at = scan_address(at, last, kind, ipv4_in_tcp6, out.address[i]);
        if (at == nullptr || *at++ != ' ')
            return i;
    }
    at = scan_port(at, last, out.port[0]);
    if (at == nullptr || *at++ != ' ')
        return 2;
    at = scan_port(at, last, out.port[1]);
    return at == last ? 4 : 3;
}

parse_reason wrong_port(std::string_view field) noexcept
{
    if (field.empty() || field.find_first_not_of("0123456789") != npos)
        return parse_reason::v1_port;
    return field.size() > 1 && field.front() == '0' ? parse_reason::v1_port_leading_zero
                                                    : parse_reason::v1_port_range;
}

bool has_leading_zero(std::string_view address) noexcept
{
    for (std::size_t i = 0; i + 1 < address.size(); ++i)
        if (address[i] == '0' && (i == 0 || address[i - 1] == '.') && address[i + 1] >= '0' &&
            address[i + 1] <= '9')
            return true;
    return false;
}

/// Says what is wrong with `line` (up to its CR), whose field number `field` could not be read.
fault explain(std::string_view line, line_kind kind, int field) noexcept
{
    if (const auto cr = line.find('\r'); cr != npos)
        return {parse_reason::v1_bare_cr, static_cast<u32>(cr)};
    if (std::ranges::count(line.substr(addresses_begin), ' ') != 3)
        return {parse_reason::v1_fields, addresses_begin};
    auto begin = addresses_begin;
    for (int i = 0; i < field; ++i)
        begin = line.find(' ', begin) + 1;
    const auto text = line.substr(begin, line.find(' ', begin) - begin);
    const auto reason = field >= 2                ? wrong_port(text)
                        : kind == line_kind::tcp6 ? parse_reason::v1_ipv6
                        : has_leading_zero(text)  ? parse_reason::v1_ipv4_leading_zero
                                                  : parse_reason::v1_ipv4;
    return {reason, static_cast<u32>(begin)};
}

/// Goes on without a line end: says what is wrong already, or how much is missing.
parse_result no_line_end(std::string_view window, line_kind kind) noexcept
{
    const auto cr = kind == line_kind::unknown ? npos : window.find('\r');
    if (cr != npos && cr + 1 < window.size())
        return refused({parse_reason::v1_bare_cr, static_cast<u32>(cr)});
    if (window.size() == v1_size_max)
        return refused({parse_reason::v1_too_long, static_cast<u32>(v1_size_max)});
    const std::size_t ending = window.back() == '\r' ? 1 : 2;
    return wanting(std::max(ending, v1_size_min - std::min(window.size(), v1_size_min)));
}

/// Puts the pair into version 2's layout, so that everything behind the parser sees one form.
std::array<std::byte, 36> make_block(const address_pair& pair, line_kind kind) noexcept
{
    std::array<std::byte, 36> block{};
    auto* at = block.data();
    for (const auto& address : pair.address)
        at = kind == line_kind::tcp4 ? std::ranges::copy(address.v4_bytes(), at).out
                                     : std::ranges::copy(address.bytes(), at).out;
    store_big(at, pair.port[0]);
    store_big(at + 2, pair.port[1]);
    return block;
}

header_fields v1_fields(std::size_t size, family of, transport over) noexcept
{
    return {static_cast<u32>(size), 1, command::proxy, of, over};
}

parse_result parse_tcp(std::string_view window, line_kind kind,
                       const parse_options& options) noexcept
{
    const auto lf = window.find('\n', addresses_begin);
    if (lf == npos)
        return no_line_end(window, kind);
    const auto line = window.substr(0, lf - 1);
    if (window[lf - 1] != '\r') {
        const auto cr = line.find('\r');
        return refused(cr != npos ? fault{parse_reason::v1_bare_cr, static_cast<u32>(cr)}
                                  : fault{parse_reason::v1_bare_lf, static_cast<u32>(lf)});
    }
    if (options.require_crc32c)
        return refused({parse_reason::crc_missing, 0});
    address_pair pair;
    const auto wrong = read_fields(line.data() + addresses_begin, line.data() + line.size(), kind,
                                   options.accept_ipv4_in_tcp6, pair);
    if (wrong != 4)
        return refused(explain(line, kind, wrong));
    const auto kind_family = kind == line_kind::tcp4 ? family::inet : family::inet6;
    return {parse_status::complete, parse_reason::none, 0, 0,
            header_view{v1_fields(lf + 1, kind_family, transport::stream), make_block(pair, kind)}};
}

parse_result parse_unknown(std::string_view window, const parse_options& options) noexcept
{
    if (!options.accept_unspec)
        return refused({parse_reason::unspec_not_allowed, word_begin});
    constexpr std::size_t rest_begin = v1_size_min - 2;
    if (window[rest_begin] == '\r' && window.size() > v1_size_min - 1 &&
        window[rest_begin + 1] != '\n')
        return refused({parse_reason::v1_bare_cr, rest_begin});
    const auto end = window.find("\r\n", rest_begin);
    if (end == npos)
        return no_line_end(window, line_kind::unknown);
    return {parse_status::complete, parse_reason::none, 0, 0,
            header_view{v1_fields(end + 2, family::unspec, transport::unspec), {}}};
}

}  // namespace

parse_result parse_v1(const_bytes bytes, const parse_options& options) noexcept
{
    if (!options.allow_v1)
        return refused({parse_reason::v1_not_allowed, 0});
    if (options.profile == parse_profile::datagram && !options.allow_v1_in_datagram)
        return refused({parse_reason::v1_in_datagram, 0});
    const auto window = as_text(bytes.first(std::min(bytes.size(), v1_size_max)));
    if (window.size() < word_begin)
        return wanting(v1_size_min - window.size());
    if (window[word_begin - 1] != ' ')
        return refused({parse_reason::v1_space, word_begin - 1});
    const auto kind = read_word(window.substr(word_begin));
    switch (kind) {
    case line_kind::undecided:
        return wanting(v1_size_min - window.size());
    case line_kind::wrong:
        return refused({parse_reason::v1_protocol, word_begin});
    case line_kind::unknown:
        return parse_unknown(window, options);
    case line_kind::tcp4:
    case line_kind::tcp6:
        break;
    }
    return parse_tcp(window, kind, options);
}

}  // namespace whence::inline v0::proxy_protocol::internal

#include <whence/proxy_protocol/hint.hpp>

#include <whence/base/text.hpp>
#include <whence/proxy_protocol/header.hpp>

#include <array>

namespace whence::inline v0::proxy_protocol {

namespace {

using namespace std::string_view_literals;

struct beginning {
    std::string_view bytes;
    std::string_view hint;
};

constexpr std::string_view http = "HTTP request";

// Each is long enough that no other protocol's beginning is taken for it.
constexpr std::array beginnings{
    beginning{v2_signature, "PROXY v2 signature"},
    beginning{"PROXY TCP4 ", "PROXY v1 header"},
    beginning{"PROXY TCP6 ", "PROXY v1 header"},
    beginning{"PROXY UNKNOWN", "PROXY v1 header"},
    beginning{"PRI * HTTP/2.0\r\n", "HTTP/2 preface"},
    beginning{"GET ", http},
    beginning{"HEAD ", http},
    beginning{"POST ", http},
    beginning{"PUT ", http},
    beginning{"PATCH ", http},
    beginning{"DELETE ", http},
    beginning{"OPTIONS ", http},
    beginning{"CONNECT ", http},
    beginning{"TRACE ", http},
    beginning{"SSH-", "SSH greeting"},
    beginning{"EHLO ", "SMTP greeting"},
    beginning{"HELO ", "SMTP greeting"},
};

/// A handshake record whose first message is a ClientHello.
/// source: RFC 8446, sections 4 and 5.1.
///   16 | 03 00..04 | length of the record, 2 bytes | 01
bool is_client_hello(std::string_view text) noexcept
{
    constexpr std::size_t message_at = 5;
    return text.size() > message_at && text.starts_with("\x16\x03"sv) && text[2] >= 0 &&
           text[2] <= 4 && text[message_at] == 1;
}

}  // namespace

std::string_view hint_of(const_bytes first) noexcept
{
    const std::string_view text = as_text(first);
    if (is_client_hello(text))
        return "TLS ClientHello";
    for (const beginning& one : beginnings) {
        if (text.starts_with(one.bytes))
            return one.hint;
    }
    return {};
}

}  // namespace whence::inline v0::proxy_protocol

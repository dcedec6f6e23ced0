#include <whence/observe/http_head.hpp>

#include <algorithm>

namespace whence::inline v0::internal {

namespace {

constexpr std::string_view line_end = "\r\n";
constexpr http_head bad_request{.status = 400, .method = {}, .path = {}};

bool is_token(std::string_view text) noexcept
{
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               marks.find(c) != marks.npos;
    });
}

bool is_visible(std::string_view text) noexcept
{
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

/// Allows what a field's value may hold: no control characters but the tab.
bool is_value(std::string_view text) noexcept
{
    return std::ranges::none_of(text, [](char c) {
        return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f';
    });
}

bool is_host(std::string_view name) noexcept
{
    constexpr std::string_view host = "host";
    return std::ranges::equal(name, host,
                              [](char a, char b) { return static_cast<char>(a | 0x20) == b; });
}

/// Cuts `text` at `mark`, which is dropped, and returns what stood before it.
std::string_view cut(std::string_view& text, std::string_view mark) noexcept
{
    const std::size_t at = text.find(mark);
    const std::string_view before = text.substr(0, at);
    text.remove_prefix(at == text.npos ? text.size() : at + mark.size());
    return before;
}

}  // namespace

http_head parse_http_head(std::string_view text) noexcept
{
    std::string_view line = cut(text, line_end);
    const std::string_view method = cut(line, " ");
    std::string_view target = cut(line, " ");
    const bool is_1_1 = line == "HTTP/1.1";
    if (!is_token(method) || !target.starts_with('/') || !is_visible(target) ||
        !(is_1_1 || line == "HTTP/1.0"))
        return bad_request;
    unsigned hosts = 0;
    for (std::string_view field = cut(text, line_end); !field.empty(); field = cut(text, line_end))
    {
        const std::string_view name = cut(field, ":");
        if (!is_token(name) || field.data() == name.data() + name.size() || !is_value(field))
            return bad_request;
        hosts += is_host(name);
    }
    if (hosts > 1 || (is_1_1 && hosts == 0))
        return bad_request;
    return {.status = 200, .method = method, .path = cut(target, "?")};
}

}  // namespace whence::inline v0::internal

#pragma once

#include <whence/base/result.hpp>
#include <whence/base/types.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace whence::inline v0 {

/// Reads a duration such as "250ms": a whole number and ns, us, ms, s, m or h.
/// errors: a sentence that names what is wrong.
result<std::chrono::nanoseconds, std::string> parse_duration(std::string_view text);

/// Prints a duration in the largest unit that needs no fraction ("90s", "2m"); `parse_duration`
/// reads it back.
std::string duration_text(std::chrono::nanoseconds duration);

/// Reads a size such as "4096" or "64KiB": a whole number and nothing, B, KiB, MiB or GiB.
/// units: bytes.
/// errors: a sentence that names what is wrong.
result<u64, std::string> parse_size(std::string_view text);

/// Prints a size in the largest unit that needs no fraction; `parse_size` reads it back.
std::string size_text(u64 bytes);

/// Reads the digits of a whole decimal number: all of `text`, no sign.
/// errors: a sentence that names what is wrong, also when the number is above `value_max`.
result<u64, std::string> parse_number(std::string_view text, u64 value_max = ~u64{0});

/// Prints bytes as two lower-case hexadecimal digits each.
std::string hex_text(const_bytes bytes);

/// Reads what `hex_text` prints; upper case is understood too.
/// errors: a sentence that names what is wrong.
result<std::vector<std::byte>, std::string> parse_hex(std::string_view text);

/// Tells whether all of `text` is UTF-8: no surrogates, no overlong forms, nothing above U+10FFFF.
bool is_utf8(std::string_view text) noexcept;

/// Measures the UTF-8 character at the start of `text`: 1 to 4 bytes, 0 when there is none.
std::size_t utf8_size(std::string_view text) noexcept;

/// Appends `text` to `out` as a JSON string, quotes included.
/// limits: control characters are escaped, every byte that is not UTF-8 becomes U+FFFD, so the
/// result is valid whatever a peer sent; six times the size of `text` at most, plus two.
void json_text(std::string& out, std::string_view text);

/// Quotes `text` for a message, as a JSON string.
std::string quoted(std::string_view text);

/// Views bytes as characters, and characters as bytes.
inline std::string_view as_text(const_bytes bytes) noexcept
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline const_bytes as_bytes(std::string_view text) noexcept
{
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

}  // namespace whence::inline v0

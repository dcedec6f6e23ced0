#pragma once

#include <whence/proxy_protocol/encode.hpp>
#include <whence/proxy_protocol/parse.hpp>

#include <array>
#include <string>
#include <system_error>

namespace whence::inline v0::asio_interop {

/// Says why a header was not read, in the words of proxy_protocol::accept, or not written. An
/// error_code is compared with it: `if (error == header_error::untrusted)`. Its message is longer:
/// "malformed PROXY header (v2_command)".
enum class header_error : u8 {
    untrusted = 1,  ///< the trust table refuses the peer; nothing was read
    malformed,      ///< what came is no header
    too_large,      ///< more behind the fixed 16 bytes than header_limits::size_max
    too_late,       ///< header_limits::time_max passed before its end
    truncated,      ///< the stream ended within it
    closed,         ///< the stream ended before its first byte: somebody looked whether we listen
    unspeakable,    ///< what is to be written cannot be said in a header
};

namespace internal {

/// Names the errors of headers.
/// shape: a value is a header_error, and 256 times the parse_reason or encode_error behind it.
class header_error_category final : public std::error_category {
public:
    static const header_error_category& instance() noexcept
    {
        static const header_error_category only;
        return only;
    }

    const char* name() const noexcept override { return "whence.header"; }

    std::string message(int value) const override
    {
        const auto kind = static_cast<header_error>(value & 0xff);
        std::string text{words(kind)};
        if (const int why = value >> 8) {
            text += " (";
            if (kind == header_error::unspeakable)
                text += to_string(static_cast<proxy_protocol::encode_error>(why - 1));
            else
                text += to_string(static_cast<proxy_protocol::parse_reason>(why));
            text += ')';
        }
        return text;
    }

    std::error_condition default_error_condition(int value) const noexcept override
    {
        return {value & 0xff, *this};
    }

private:
    static std::string_view words(header_error kind) noexcept
    {
        switch (kind) {
        case header_error::untrusted:
            return "untrusted peer: the trust table refuses it";
        case header_error::malformed:
            return "malformed PROXY header";
        case header_error::too_large:
            return "too large a PROXY header";
        case header_error::too_late:
            return "PROXY header too late";
        case header_error::truncated:
            return "truncated PROXY header: the stream ended within it";
        case header_error::closed:
            return "closed before a PROXY header came";
        case header_error::unspeakable:
            return "no PROXY header can say that";
        }
        return "unknown header error";
    }
};

inline std::error_code header_error_code(header_error kind, int why = 0) noexcept
{
    return {static_cast<int>(kind) | why << 8, header_error_category::instance()};
}

inline std::error_code header_error_code(proxy_protocol::parse_reason reason) noexcept
{
    if (reason == proxy_protocol::parse_reason::too_large)
        return header_error_code(header_error::too_large);
    return header_error_code(header_error::malformed, static_cast<int>(reason));
}

inline std::error_code header_error_code(proxy_protocol::encode_error error) noexcept
{
    return header_error_code(header_error::unspeakable, static_cast<int>(error) + 1);
}

}  // namespace internal

/// Makes what error codes are compared with.
inline std::error_condition make_error_condition(header_error kind) noexcept
{
    return {static_cast<int>(kind), internal::header_error_category::instance()};
}

/// Returns the name of a header_error as the lines of whence's own logs have it in "reason":
/// "untrusted", "too_late", ...; "failed" for an error of another kind.
inline std::string_view reason_of(const std::error_code& error) noexcept
{
    constexpr std::array<std::string_view, 8> names{"failed",    "untrusted",  "malformed",
                                                    "too_large", "too_late",   "truncated",
                                                    "closed",    "unspeakable"};
    const bool ours = error.category() == internal::header_error_category::instance();
    const auto kind = static_cast<std::size_t>(error.value() & 0xff);
    return ours && kind < names.size() ? names[kind] : names[0];
}

}  // namespace whence::inline v0::asio_interop

template <>
struct std::is_error_condition_enum<whence::asio_interop::header_error> : std::true_type {};

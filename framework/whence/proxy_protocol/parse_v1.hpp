#pragma once

#include <whence/proxy_protocol/parse.hpp>

// The half of `parse` that reads version 1; not for users.

namespace whence::proxy_protocol::internal {

/// Measures the shortest line, "PROXY UNKNOWN\r\n".
inline constexpr std::size_t v1_size_min = 15;

/// Names a broken rule and where it shows.
struct fault {
    parse_reason reason = parse_reason::none;
    u32 position = 0;
};

inline void refuse(parse_result& out, fault found) noexcept
{
    out.status = parse_status::malformed;
    out.reason = found.reason;
    out.position = found.position;
    out.missing = 0;
}

inline void want(parse_result& out, std::size_t missing) noexcept
{
    out.status = parse_status::incomplete;
    out.reason = parse_reason::need_more;
    out.missing = static_cast<u32>(missing);
}

/// Decodes bytes that begin with "PROXY".
void parse_v1(const_bytes bytes, const parse_options& options, parse_result& out) noexcept;

}  // namespace whence::proxy_protocol::internal

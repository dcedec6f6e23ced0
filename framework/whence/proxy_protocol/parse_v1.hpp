#pragma once

#include <whence/proxy_protocol/parse.hpp>

// The half of `parse` that reads version 1; not for users.

namespace whence::inline v0::proxy_protocol::internal {

/// Measures the shortest line, "PROXY UNKNOWN\r\n".
inline constexpr std::size_t v1_size_min = 15;

/// Names a broken rule and where it shows.
struct fault {
    parse_reason reason = parse_reason::none;
    u32 position = 0;
};

inline parse_result refused(fault found) noexcept
{
    return {parse_status::malformed, found.reason, found.position, 0, {}};
}

inline parse_result wanting(std::size_t missing) noexcept
{
    return {parse_status::incomplete, parse_reason::need_more, 0, static_cast<u32>(missing), {}};
}

/// Decodes bytes that begin with "PROXY".
parse_result parse_v1(const_bytes bytes, const parse_options& options) noexcept;

}  // namespace whence::inline v0::proxy_protocol::internal

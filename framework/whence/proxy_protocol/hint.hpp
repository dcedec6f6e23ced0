#pragma once

#include <whence/base/types.hpp>

#include <string_view>

namespace whence::inline v0::proxy_protocol {

/// Guesses from its first bytes what somebody speaks: a hint for whoever reads the log, never acted
/// on. "TLS ClientHello", "HTTP request", "HTTP/2 preface", "SSH greeting", "SMTP greeting",
/// "PROXY v1 header", "PROXY v2 signature"; empty when the bytes do not tell.
/// shape: looks at 24 bytes at most, of however many there are; the text has static lifetime.
std::string_view hint_of(const_bytes first) noexcept;

}  // namespace whence::inline v0::proxy_protocol

#pragma once

#include <whence/base/types.hpp>

#include <string_view>

namespace whence::inline v0::internal {

/// Is what matters of the head of an HTTP request; views the head's text.
struct http_head {
    int status = 200;  // otherwise: the answer to what is no request
    std::string_view method;
    std::string_view path;  // without the query
};

/// Reads a head of HTTP/1.0 or 1.1, up to and including the empty line; strict.
/// source: RFC 9112, sections 3 and 5.
http_head parse_http_head(std::string_view text) noexcept;

}  // namespace whence::inline v0::internal

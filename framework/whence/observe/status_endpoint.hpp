#pragma once

#include <whence/net/listener.hpp>

namespace whence::inline v0 {

/// Bounds the requests of a status_endpoint.
struct status_options {
    /// For the request, and again for the answer.
    nanoseconds time_max = 5s;
    /// Bytes of the request's head; a scraper sends some hundred.
    u32 head_size_max = 8192;
};

/// Answers whoever watches the program, one HTTP request a connection: a handler.
///   GET /metrics   what prometheus_text() prints of all runtimes of the group
///   GET /healthz   200 while the runtime runs
///   GET /readyz    200; 503 once the runtime drains, so that balancers send nobody any more
/// HEAD is answered alike. Anything else is 404, 405, or 400 when it is no request of HTTP/1.0 or
/// 1.1; 408 after time_max, 431 beyond head_size_max.
/// limits: it tells everybody who connects: a listener of its own, on loopback or a UNIX socket.
/// source: RFC 9112; docs/decisions/0005 says why not a library.
class status_endpoint {
public:
    explicit status_endpoint(status_options options = {});

    task<> operator()(connection& conn) const;

private:
    task<std::string> answer(connection& conn) const;

    status_options options_;
};

/// Serves a status_endpoint until it is stopped: also while the runtime drains, when /readyz says
/// so. Run it in a scope beside the server's, and stop it when that has ended.
/// limits: 32 connections at once; more are reset.
task<> serve_status(listener at, status_endpoint page = status_endpoint{});

}  // namespace whence::inline v0

#pragma once

#include <whence/middleware/client_list.hpp>
#include <whence/net/application.hpp>

namespace whence::inline v0 {

/// Serves only the clients of a list: a gate. Nobody is served when the list is empty.
/// errors: refuses with reason not_allowed.
class allow {
public:
    static constexpr bool judges_client = true;

    /// `local_too`: also the trusted proxies' own connections, such as health checks: no list can
    /// name those. Connections of unknown origin are never served.
    explicit allow(client_list clients, bool local_too = false) noexcept
        : clients_(std::move(clients)), local_too_(local_too)
    {}

    task<verdict> operator()(connection& conn) const;

private:
    client_list clients_;
    bool local_too_;
};

/// Serves all but the clients of a list: a gate. Connections of origin local and unknown pass,
/// since nobody knows whose they are; client_limits bounds them.
/// errors: refuses with reason denied.
class deny {
public:
    static constexpr bool judges_client = true;

    explicit deny(client_list clients) noexcept : clients_(std::move(clients)) {}

    task<verdict> operator()(connection& conn) const;

private:
    client_list clients_;
};

}  // namespace whence::inline v0

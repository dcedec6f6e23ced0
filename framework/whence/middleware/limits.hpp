#pragma once

#include <whence/net/application.hpp>

namespace whence::inline v0 {

namespace internal {
class place_counter;
}

/// Bounds an application.
struct limits_options {
    /// Open connections; the next is refused. With all that the kernel holds for them, these take
    /// a gigabyte or two.
    u32 connections_max = 65'536;
};

/// Bounds how many connections an application has at once: a gate. Behind proxy_protocol::accept
/// it counts those that have sent their header; in front of it, those that have not yet, too.
/// shape: copies share their count, exactly, in all threads. A connection counts until it is
/// closed. errors: refuses with reason too_many_connections.
class limits {
public:
    /// errors: std::invalid_argument when nobody would be served.
    explicit limits(limits_options options);

    task<verdict> operator()(connection& conn) const;

    /// Counts the connections that are open now.
    u32 connections() const noexcept;

private:
    std::shared_ptr<internal::place_counter> places_;
};

}  // namespace whence::inline v0

#pragma once

#include <whence/net/application.hpp>

namespace whence::inline v0 {

namespace internal {

/// Stands between a connection and its transport until the first bytes have come, then takes
/// itself out of the way.
class first_look final : public transport {
public:
    explicit first_look(connection& conn) noexcept;
    first_look(const first_look&) = delete;
    first_look& operator=(const first_look&) = delete;
    ~first_look() override;

private:
    void submit(operation& op) noexcept override;
    void cancel(operation& op) noexcept override { below_.cancel(op); }
    void close(int fd) noexcept override { below_.close(fd); }
    void abort(int fd) noexcept override { below_.abort(fd); }
    void shutdown_write(int fd) noexcept override { below_.shutdown_write(fd); }
    static void on_received(operation& op) noexcept;
    void step_aside() noexcept;

    connection& conn_;
    transport& below_;
    bool in_place_ = true;  // not once the first bytes have come
};

}  // namespace internal

namespace proxy_protocol {

/// Tells the operator when a proxy sends headers to a server that reads none: a wrapper for
/// listeners without accept(). Changes nothing, reads nothing, waits for nothing: when the
/// handler's first receive brings the beginning of a header, the handler gets it all the same, and
/// stderr one JSON line: {"event":"hint","hint":"PROXY v2 signature on a listener without the
/// gate",...}. limits: only what that first receive brought is looked at; afterwards operations go
/// as without this layer. Such lines have the limited rate of all that strangers can cause.
struct expect_no_header {
    template <class Next>
    task<> operator()(connection& conn, const Next& next) const
    {
        const whence::internal::first_look look{conn};
        co_await next(conn);
    }
};

}  // namespace proxy_protocol

}  // namespace whence::inline v0

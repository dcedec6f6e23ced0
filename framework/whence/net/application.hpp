#pragma once

#include <whence/net/connection.hpp>

#include <memory>
#include <span>

namespace whence::inline v0 {

/// Is a gate's answer: pass, or refuse and why.
/// shape: 24 bytes; only a detail allocates.
class [[nodiscard]] verdict {
public:
    static verdict pass() noexcept { return {}; }
    /// `reason`: one word of a fixed set, with static lifetime: logs and counters group by it.
    static verdict refuse(const char* reason, std::string detail = {});
    /// The same for what is routine, such as a health check's reset: not logged.
    static verdict refuse_quietly(const char* reason) noexcept;

    bool passed() const noexcept { return reason_ == nullptr; }
    bool quiet() const noexcept { return quiet_; }
    /// Empty when passed.
    std::string_view reason() const noexcept
    {
        return reason_ ? std::string_view{reason_} : std::string_view{};
    }
    std::string_view detail() const noexcept
    {
        return detail_ ? std::string_view{*detail_} : std::string_view{};
    }

private:
    verdict() noexcept = default;

    const char* reason_ = nullptr;
    std::unique_ptr<const std::string> detail_;
    bool quiet_ = false;
};

/// Leaves a session whose gate stands behind a wrapper and refused.
class refused final : public std::exception {
public:
    explicit refused(verdict why) : why_(std::make_shared<const verdict>(std::move(why))) {}
    const whence::verdict& why() const noexcept { return *why_; }
    const char* what() const noexcept override { return "refused"; }

private:
    std::shared_ptr<const verdict> why_;
};

/// Points at a gate of an application: decides on a connection before its session starts.
struct gate_reference {
    task<verdict> (*run)(const void* layer, connection& conn);
    const void* layer;

    task<verdict> operator()(connection& conn) const { return run(layer, conn); }
};

/// Is what a server serves: gates in front, then the session. Shared by all connections, so const.
/// pipeline() makes one; a plain handler is one without gates.
class application {
public:
    virtual ~application() = default;
    /// The gates in the order in which a connection meets them; they run in the session's frame.
    virtual std::span<const gate_reference> gates() const noexcept { return {}; }
    /// Serves a connection that passed the gates, to its end.
    virtual task<> session(connection& conn) const = 0;
};

/// Is the innermost layer: a function, or a function object, that serves one connection.
template <class T>
concept handler = requires(const T& serve, connection& conn) {
    {
        serve(conn)
    } -> std::same_as<task<>>;
};

namespace internal {

template <handler Handler>
class handler_application final : public application {
public:
    explicit handler_application(Handler serve) : serve_(std::move(serve)) {}
    task<> session(connection& conn) const override { return serve_(conn); }

private:
    Handler serve_;
};

}  // namespace internal

/// Says what serve() takes: a handler, or something that becomes an application (a pipeline).
template <class T>
concept servable = handler<T> || requires(T made) {
    {
        std::move(made).seal()
    } -> std::same_as<std::unique_ptr<const application>>;
};

/// Puts a servable where it stays while it serves.
template <servable App>
std::unique_ptr<const application> make_application(App app)
{
    if constexpr (handler<App>)
        return std::make_unique<const internal::handler_application<App>>(std::move(app));
    else
        return std::move(app).seal();
}

}  // namespace whence::inline v0

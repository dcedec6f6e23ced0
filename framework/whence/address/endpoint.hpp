#pragma once

#include <whence/address/ip_address.hpp>

#include <compare>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace whence::inline v0 {

/// Says what an endpoint is.
enum class endpoint_kind : u8 { empty, ipv4, ipv6, unix_path, unix_abstract, unix_unnamed };

/// Holds one end of a connection: IP address and port, a UNIX socket's name, or nothing.
/// shape: 24 bytes. A UNIX name is one allocation of its own; copies copy it.
class endpoint {
public:
    static constexpr std::size_t unix_path_size_max = 108;
    static constexpr std::size_t unix_abstract_size_max = 107;
    /// Bounds what `print` writes: a UNIX name of bytes that must all be escaped.
    static constexpr std::size_t text_size_max = 6 + 4 * unix_path_size_max;

    /// Makes an empty endpoint: no address is known.
    endpoint() noexcept = default;
    /// Makes an IP endpoint.
    /// limits: `scope_id` (the interface of a link-local address) only with IPv6.
    endpoint(const ip_address& address, u16 port, u32 scope_id = 0) noexcept
        : high_(address.high_), low_(address.low_), scope_id_(scope_id), port_(port),
          kind_(address.is_v4() ? endpoint_kind::ipv4 : endpoint_kind::ipv6)
    {
        expects(scope_id == 0 || address.is_v6(), "only IPv6 has scopes");
    }
    /// Make a UNIX endpoint: a path (1 to 108 bytes, no NUL), a name in Linux's abstract namespace
    /// (0 to 107 bytes of any value, its leading NUL not included), or a socket without a name.
    static endpoint unix_path(std::string_view path);
    static endpoint unix_abstract(std::string_view name);
    static endpoint unix_unnamed() noexcept;

    endpoint(const endpoint& other)
        : high_(other.high_), low_(other.low_), scope_id_(other.scope_id_), port_(other.port_),
          kind_(other.kind_), name_size_(other.name_size_)
    {
        if (owns_name()) [[unlikely]]
            own_name(other.name());
    }
    /// Moves; what was moved from is empty.
    endpoint(endpoint&& other) noexcept : endpoint() { swap(other); }
    endpoint& operator=(endpoint other) noexcept
    {
        swap(other);
        return *this;
    }
    ~endpoint()
    {
        if (owns_name()) [[unlikely]]
            delete[] name();
    }

    /// Reads what `print` writes: "203.0.113.7:4242", "[2001:db8::1]:443", "[fe80::1%3]:80",
    /// "unix:/path", "unix:@abstract", "unix:" (unnamed). Names may hold `\xNN` and `\\`.
    /// errors: a sentence that names what is wrong and where.
    static result<endpoint, std::string> parse(std::string_view text);
    /// Prints the endpoint without allocating and returns the part of `room` that was written;
    /// an empty endpoint prints "-", bytes outside printable ASCII print as `\xNN`.
    std::string_view print(std::span<char, text_size_max> room) const noexcept;

    endpoint_kind kind() const noexcept { return kind_; }
    bool empty() const noexcept { return kind_ == endpoint_kind::empty; }
    bool is_ip() const noexcept
    {
        return kind_ == endpoint_kind::ipv4 || kind_ == endpoint_kind::ipv6;
    }
    bool is_unix() const noexcept { return kind_ >= endpoint_kind::unix_path; }

    /// Returns the IP address. limits: only when `is_ip()`.
    ip_address address() const noexcept
    {
        expects(is_ip(), "address of an endpoint that has none");
        return {high_, low_, kind_ == endpoint_kind::ipv4};
    }
    /// Return 0 when the endpoint has no such thing.
    u16 port() const noexcept { return port_; }
    u32 scope_id() const noexcept { return scope_id_; }
    /// Returns a UNIX socket's name, without the leading NUL of an abstract one; empty otherwise.
    std::string_view unix_name() const noexcept
    {
        return owns_name() ? std::string_view{name(), name_size_} : std::string_view{};
    }
    /// Turns ::ffff:a.b.c.d into IPv4 and leaves everything else alone.
    endpoint canonical() const& { return endpoint{*this}.canonical(); }
    endpoint canonical() &&
    {
        if (is_ip() && address().is_v4_mapped())
            return {address().canonical(), port_};
        return std::move(*this);
    }

    friend bool operator==(const endpoint& a, const endpoint& b) noexcept { return a <=> b == 0; }
    /// Orders by kind, then by address or name, port, scope.
    friend std::strong_ordering operator<=>(const endpoint& a, const endpoint& b) noexcept;

private:
    endpoint(endpoint_kind kind, std::string_view name);

    bool owns_name() const noexcept
    {
        return kind_ == endpoint_kind::unix_path || kind_ == endpoint_kind::unix_abstract;
    }
    char* name() const noexcept
    {
        return reinterpret_cast<char*>(static_cast<std::uintptr_t>(high_));
    }
    void own_name(const char* bytes);
    void swap(endpoint& other) noexcept
    {
        std::swap(high_, other.high_);
        std::swap(low_, other.low_);
        std::swap(scope_id_, other.scope_id_);
        std::swap(port_, other.port_);
        std::swap(kind_, other.kind_);
        std::swap(name_size_, other.name_size_);
    }

    u64 high_ = 0;  // an IP address's upper half, or where a UNIX name is
    u64 low_ = 0;
    u32 scope_id_ = 0;
    u16 port_ = 0;
    endpoint_kind kind_ = endpoint_kind::empty;
    u8 name_size_ = 0;
};

static_assert(sizeof(endpoint) == 24);

/// Prints an endpoint so that `endpoint::parse` reads it back.
std::string to_string(const endpoint& value);

}  // namespace whence::inline v0

/// Hashes an endpoint by value, without a seed.
template <>
struct std::hash<whence::endpoint> {
    std::size_t operator()(const whence::endpoint& value) const noexcept;
};

#pragma once

#include <whence/net/application.hpp>
#include <whence/runtime/runtime_metrics.hpp>

#include <string>

namespace whence::inline v0 {

/// Counts what happens to the connections of one listener in one runtime. A server calls it where
/// things happen; a connection knows its own (connection::metrics()), so layers may, too.
///
///   accepted -> handshake_refused or handshake_left | session_started -> session_ended
///
/// shape: stays in the runtime's metrics when its server has ended; the next server at the same
/// address goes on counting in it.
/// limits: called by the runtime's thread. Words are of a fixed set: what finds no slot is "other".
class server_metrics final : public metric_block {
public:
    explicit server_metrics(std::string listener);

    /// Finds the counters of a listener in a runtime, or makes them.
    /// limits: 64 listeners a runtime; further ones share what is told as "other".
    /// errors: std::bad_alloc.
    static server_metrics& of(runtime_metrics& in, const endpoint& listener);

    /// The address that it counts for, as text.
    const std::string& listener() const noexcept { return listener_; }

    /// A connection was accepted and stands before its gates.
    void accepted(connection& conn) noexcept;
    /// An accept failed: no descriptor, no memory.
    void accept_failed(const std::error_code& error) noexcept;
    /// A peer had gone before its connection was accepted.
    void gone_before_accept() noexcept { left_.add("before_accept"); }

    /// A trust table decided; `rule`: the entry that did, empty when none names the peer.
    void trust_decided(std::string_view outcome, std::string_view rule) noexcept;

    /// A gate refused a connection. A quiet verdict ("closed", "reset", "draining") is nobody's
    /// wrong, and counted with those that left.
    void handshake_refused(const connection& conn, const verdict& why) noexcept;
    /// A connection ended before its session without a verdict: by an exception, or "no_memory".
    void handshake_left(const connection& conn, std::string_view how) noexcept;
    /// A connection passed its gates.
    void session_started(const connection& conn) noexcept;
    /// A session ended: "closed", "failed", "cancelled", "reset", or the reason of the layer that
    /// refused to go on ("idle", "write_stalled").
    void session_ended(const connection& conn, std::string_view outcome) noexcept;

    void read(metric_reader& to) const override;
    static std::span<const metric> all() noexcept;

private:
    static constexpr std::size_t origins = 4;
    static constexpr std::size_t versions = 3;

    void handshake_over(const connection& conn) noexcept;

    std::string listener_;
    counter accepted_;
    labelled_counter<12> accept_errors_;
    labelled_counter<4> trust_outcomes_;
    labelled_counter<32> trust_rules_;
    gauge handshakes_pending_;
    histogram handshake_duration_;
    labelled_counter<24> refused_;
    labelled_counter<8> left_;
    gauge sessions_open_;
    std::array<std::array<counter, origins>, versions> started_;
    labelled_counter<12> ended_;
    histogram session_duration_;
};

}  // namespace whence::inline v0

#pragma once

// Not a public header: TCP between simulated hosts, and UNIX sockets within one.

#include <whence/sim/schedule.hpp>
#include <whence/sim/stack.hpp>

#include <functional>
#include <set>

namespace whence::inline v0::sim::internal {

/// Carries bytes between sockets. What a program asks for has its effect here, and at a later time
/// at the other end: every such step is an event, in one order for one seed.
class network {
public:
    network(u64 seed, const network_options& usual) : chance(seed), usual_(usual) {}

    // The world.
    void join(stack& host) { hosts_.push_back(&host); }
    time_point now() const noexcept { return now_; }
    void pass(nanoseconds time) noexcept { now_ += time; }
    std::optional<time_point> next_due() const noexcept { return events_.next_due(); }
    /// Lets the next event happen. limits: there is one; its time becomes now.
    void step();
    void at(time_point due, std::function<void()> act);
    void set_options(const stack& a, const stack& b, const network_options& options);
    /// Nothing gets from one to the other until it is mended.
    void cut(const stack& a, const stack& b);
    void mend(const stack& a, const stack& b);
    /// Ends a host's sockets: as the kernel of a killed process does, or without a word.
    void leave(stack& host, bool told);
    u64 digest() const noexcept { return digest_; }
    void set_trace(std::function<void(std::string_view)> to) { trace_ = std::move(to); }

    // The system calls.
    socket* find(socket_id id) const noexcept;
    socket& open(stack& host, int family);
    int bind(socket& one, const endpoint& local);
    int listen(socket& one, int backlog);
    void close(socket& one);
    void abort(socket& one);
    void shutdown(socket& one);
    /// Forgets a socket without a word.
    void destroy(socket& one);

    // The operations; each ends by stack::finish.
    void connect(socket& one, operation& op, const endpoint& to);
    void accept(socket& one, operation& op);
    void receive(socket& one, operation& op);
    /// Tries again for receives that found no buffer.
    void feed_starved(stack& host);
    void send(socket& one, operation& op);
    /// Ends an operation early, or a while later, when it may have ended by itself.
    void cancel(stack& host, operation& op);

    sim::random chance;

private:
    struct event {
        void (network::*happens)(socket&, u64) = nullptr;
        socket_id to = 0;
        u64 detail = 0;  // without a member function: which script
    };
    using pair_of_hosts = std::pair<const stack*, const stack*>;

    static pair_of_hosts between(const stack& a, const stack& b) noexcept
    {
        return std::less<>{}(&a, &b) ? pair_of_hosts{&a, &b} : pair_of_hosts{&b, &a};
    }
    void later_at(time_point due, void (network::*happens)(socket&, u64), socket_id to,
                  u64 detail = 0);
    const network_options& options_of(const socket& one) const noexcept;
    bool is_cut(const socket& one) const noexcept;
    nanoseconds latency(const socket& one);
    /// Tells when what `one` sends now is there.
    time_point arrival(socket& one);
    stack* host_at(const stack& from, const endpoint& to) const noexcept;
    socket* listener_at(const stack& host, const endpoint& to);
    u16 free_port(stack& host);
    void drop_if_over(socket& one);
    void note(const char* what, const socket& one, u64 detail = 0);

    void on_request(socket& from, u64 attempt);
    void on_established(socket& one, u64 error);
    void on_segment(socket& from, u64 size);
    void on_end(socket& from, u64);
    void on_reset(socket& to, u64 error);
    void on_silence(socket& one, u64);
    void on_cancel(socket& one, u64);
    void welcome(socket& from, socket& at);
    void reset_other(socket& one);
    void fail(socket& one, int error);
    void go_on_receiving(socket& one);
    void go_on_sending(socket& one);
    void go_on_accepting(socket& one);
    void pump(socket& one);
    void watch_silence(socket& one);
    void watch_all();

    network_options usual_;
    std::map<pair_of_hosts, network_options> special_;
    std::set<pair_of_hosts> cuts_;
    std::vector<stack*> hosts_;
    std::vector<std::unique_ptr<socket>> sockets_;  // by the low half of their ids
    std::vector<u32> free_;
    std::vector<u32> generations_;
    schedule<event> events_;
    std::map<u64, std::function<void()>> scripts_;
    u64 next_script_ = 0;
    time_point now_{1h};
    u64 digest_ = 0xcbf29ce484222325;
    std::function<void(std::string_view)> trace_;
};

}  // namespace whence::inline v0::sim::internal

#pragma once

// Not a public header: what the system of one simulated host holds.

#include <whence/address/socket_address.hpp>
#include <whence/base/contiguous_queue.hpp>
#include <whence/coro/operation.hpp>
#include <whence/sim/options.hpp>
#include <whence/sim/random.hpp>

#include <deque>
#include <map>

namespace whence::inline v0::sim::internal {

class network;
struct stack;

/// Names a socket for as long as the world lasts; 0 is none.
using socket_id = u64;

/// Is one end of a connection, or what listens for some.
struct socket {
    enum class phase : u8 { open, listening, connecting, connected, over };
    using option_name = std::pair<int, int>;  // level and name, socket(7)

    socket_id id = 0;
    stack* at = nullptr;
    int fd = -1;          // -1: closed, or not accepted yet
    bool closed = false;  // by its program: what that had sent may still be on its way
    int family = 0;
    phase is = phase::open;
    endpoint local;
    endpoint peer;
    std::map<option_name, int> options;
    int error = 0;  // told once, to whoever asks first

    // Listening.
    std::size_t backlog = 0;
    std::deque<socket_id> arrived;

    // Connected. `outgoing` begins with what is on the wire, `in_flight` bytes of it.
    socket_id other = 0;
    const stack* far = nullptr;  // the host at the other end, also when that socket is no more
    whence::internal::contiguous_queue<std::byte> received;
    whence::internal::contiguous_queue<std::byte> outgoing;
    std::size_t in_flight = 0;
    bool end_received = false;
    bool end_asked = false;  // FIN behind what is outgoing
    bool end_sent = false;
    bool end_arrived = false;
    bool giving_up = false;   // the path is cut, and somebody looks at the clock
    time_point arrives_last;  // when what was sent last is there: order is kept
    u64 acknowledged = 0;     // bytes
    u64 reset_at = ~u64{0};   // of our direction: the byte that resets the connection

    operation* receiving = nullptr;
    operation* sending = nullptr;
    operation* waiting = nullptr;  // connect or accept_many

    bool in_use() const noexcept { return receiving || sending || waiting; }
};

/// Is the pool of a simulated driver: free buffers on a stack.
class sim_buffers final : public buffer_pool {
public:
    explicit sim_buffers(const driver_options& options);
    ~sim_buffers() override;

    /// Fills a buffer. limits: one is available; at most buffer_size() bytes.
    std::byte* fill(const_bytes bytes) noexcept;

private:
    sim_buffers(std::unique_ptr<std::byte[]> memory, const driver_options& options);
    void give(u16 id) noexcept override;

    std::unique_ptr<std::byte[]> memory_;
    std::vector<u16> free_;
};

// operation::driver_flags
inline constexpr u8 flag_over = 1;        // its completion is on its way
inline constexpr u8 flag_asked_back = 2;  // its cancellation is on its way, and may come too late

/// Is an operation's end, on its way to whoever submitted it.
struct completion {
    operation* op;
    int result;
    bool more;  // accept_many: others follow
};

/// Holds the sockets, descriptors and completions of one host.
struct stack {
    static constexpr int descriptors_begin = 1
                                             << 24;  // no kernel has these: a mistake shows at once

    stack(network& on, const host_options& with);

    socket* find(int fd) const noexcept;
    /// Gives the lowest free descriptor, or -EMFILE.
    int open_descriptor(socket_id of);
    void close_descriptor(int fd) noexcept;
    std::size_t descriptors_open() const noexcept { return open_; }
    bool has(const ip_address& address) const noexcept;

    /// Ends an operation; it is delivered by its driver.
    void finish(operation& op, int result, bool more = false);

    network& net;
    host_options options;
    std::vector<ip_address> addresses;
    sim_buffers buffers;
    driver_metrics metrics;
    std::vector<completion> completed;
    std::vector<operation*> starved;  // receives that have data and no buffer
    std::vector<socket_id> listening;
    std::string output[3];        // what was written to 1 and 2
    bool writes_through = false;  // to the process's own instead
    u16 next_port = 32768;
    bool dead = false;    // its program was killed: what that still does has no effect
    bool silent = false;  // without power: it answers nobody

private:
    std::vector<socket_id> descriptors_;
    std::size_t open_ = 0;
};

}  // namespace whence::inline v0::sim::internal

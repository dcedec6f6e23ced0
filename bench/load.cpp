// A closed loop of echo clients: every connection sends a message, waits for all of it to come
// back, and sends the next. What it prints is about the server; it must not be the bottleneck
// itself.
//
//   bench/load ADDRESS [--connections N] [--size BYTES] [--warm-up SECONDS]
//              [--seconds SECONDS | --messages N] [--server PID]
//
// Prints one JSON line: messages, seconds, p50_us, p99_us, and with --server the processor time
// that the server used meanwhile, server_ns. With --messages it echoes so many, on all connections
// together, for every line that it reads, and answers each with a line; their number is exact.
// Everything goes through one io_uring; the replies land in one buffer that nobody reads.

#include <liburing.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

namespace {

constexpr unsigned entries = 1024;
constexpr std::uint64_t is_send = 1ull << 63;

struct options {
    sockaddr_in address{};
    unsigned connections = 64;
    unsigned size = 64;
    double warm_up = 0.1;
    double seconds = 0.25;
    std::uint64_t messages = 0;  // 0: until the time is over
    pid_t server = 0;
};

[[noreturn]] void fail(const char* what, int error)
{
    std::fprintf(stderr, "load: %s: %s\n", what, std::strerror(error));
    std::exit(1);
}

std::uint64_t read_clock(clockid_t clock)
{
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(time.tv_nsec);
}

/// Counts latencies in buckets, sixteen to a power of two.
class histogram {
public:
    void add(std::uint64_t ns)
    {
        const int power = ns < 32 ? 0 : 59 - __builtin_clzll(ns);
        ++counts_[static_cast<std::size_t>(power) * 32 + (ns >> power)];
        ++total_;
    }
    double quantile_us(double share) const
    {
        const auto rank = static_cast<std::uint64_t>(share * static_cast<double>(total_));
        std::uint64_t below = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            below += counts_[i];
            if (below > rank) {
                return static_cast<double>((i % 32) << (i / 32)) / 1000;
            }
        }
        return 0;
    }
    std::uint64_t total() const { return total_; }

private:
    std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(64 * 32);
    std::uint64_t total_ = 0;
};

class clients {
public:
    explicit clients(const options& wanted)
        : wanted_(wanted), message_(wanted.size, 'm'), reply_(wanted.size)
    {
        io_uring_params params{};
        params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                       IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
        params.cq_entries = 8 * entries;
        if (const int error = io_uring_queue_init_params(entries, &ring_, &params))
            fail("io_uring_queue_init_params", -error);
        io_uring_register_ring_fd(&ring_);
        for (unsigned i = 0; i < wanted.connections; ++i)
            connections_.push_back({connect_to(wanted.address), 0});
    }

    ~clients()
    {
        // No TIME_WAIT: thousands of slices would use up the ports.
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        for (const connection& each : connections_)
            setsockopt(each.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    clients(const clients&) = delete;
    clients& operator=(const clients&) = delete;

    /// Sends a message on every connection; run_for() goes on from there.
    void start()
    {
        for (std::size_t i = 0; i < connections_.size(); ++i)
            send(i);
    }

    /// Echoes for a while; messages are under way when it ends.
    histogram run_for(double seconds)
    {
        histogram latencies;
        const auto end = read_clock(CLOCK_MONOTONIC) + static_cast<std::uint64_t>(seconds * 1e9);
        while (read_clock(CLOCK_MONOTONIC) < end)
            turn([&](std::size_t i) {
                latencies.add(read_clock(CLOCK_MONOTONIC) - connections_[i].sent_at);
                send(i);
            });
        return latencies;
    }

    /// Echoes so many messages, at least one per connection; all have come back when it ends.
    void echo(std::uint64_t messages)
    {
        std::uint64_t to_send = messages - connections_.size();
        start();
        for (std::uint64_t came_back = 0; came_back < messages;)
            turn([&](std::size_t i) {
                ++came_back;
                if (to_send > 0) {
                    --to_send;
                    send(i);
                }
            });
    }

private:
    struct connection {
        int fd;
        std::uint64_t sent_at;
    };

    static int connect_to(const sockaddr_in& address)
    {
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0)
            fail("socket", errno);
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            fail("connect", errno);
        return fd;
    }

    io_uring_sqe* entry()
    {
        io_uring_sqe* next = io_uring_get_sqe(&ring_);
        while (!next) {
            io_uring_submit(&ring_);
            next = io_uring_get_sqe(&ring_);
        }
        return next;
    }

    void send(std::size_t i)
    {
        connection& each = connections_[i];
        each.sent_at = read_clock(CLOCK_MONOTONIC);
        io_uring_sqe* out = entry();
        io_uring_prep_send(out, each.fd, message_.data(), message_.size(),
                           MSG_WAITALL | MSG_NOSIGNAL);
        out->flags |= IOSQE_CQE_SKIP_SUCCESS;
        out->user_data = i | is_send;
        io_uring_sqe* in = entry();
        io_uring_prep_recv(in, each.fd, reply_.data(), reply_.size(), MSG_WAITALL);
        in->ioprio |= IORING_RECVSEND_POLL_FIRST;
        in->user_data = i;
    }

    /// Waits for replies and calls `replied` with the connection of each.
    template <class Replied>
    void turn(Replied replied)
    {
        io_uring_submit_and_wait(&ring_, 1);
        unsigned head = 0;
        unsigned seen = 0;
        io_uring_cqe* done = nullptr;
        io_uring_for_each_cqe(&ring_, head, done)
        {
            ++seen;
            if (static_cast<unsigned>(done->res) != wanted_.size)
                fail("the connection ended", done->res < 0 ? -done->res : EPIPE);
            replied(static_cast<std::size_t>(done->user_data));
        }
        io_uring_cq_advance(&ring_, seen);
    }

    const options& wanted_;
    std::vector<char> message_;
    std::vector<char> reply_;
    std::vector<connection> connections_;
    io_uring ring_{};
};

options parse(int count, char** arguments)
{
    options wanted;
    char host[64] = {};
    unsigned port = 0;
    wanted.address.sin_family = AF_INET;
    if (count < 2 || std::sscanf(arguments[1], "%63[^:]:%u", host, &port) != 2 ||
        inet_pton(AF_INET, host, &wanted.address.sin_addr) != 1)
        fail("ADDRESS", EINVAL);
    wanted.address.sin_port = htons(static_cast<std::uint16_t>(port));
    for (int i = 2; i + 1 < count; i += 2) {
        const std::string_view name = arguments[i];
        const double value = std::atof(arguments[i + 1]);
        if (name == "--connections")
            wanted.connections = static_cast<unsigned>(value);
        else if (name == "--size")
            wanted.size = static_cast<unsigned>(value);
        else if (name == "--warm-up")
            wanted.warm_up = value;
        else if (name == "--seconds")
            wanted.seconds = value;
        else if (name == "--messages")
            wanted.messages = static_cast<std::uint64_t>(value);
        else if (name == "--server")
            wanted.server = static_cast<pid_t>(value);
        else
            fail(arguments[i], EINVAL);
    }
    return wanted;
}

void allow_many_descriptors()
{
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

/// Echoes `messages` for every line of input, and answers each with a line.
void echo_on_demand(const options& wanted)
{
    clients all{wanted};
    all.echo(wanted.connections);
    while (std::getchar() == '\n') {
        all.echo(wanted.messages);
        std::printf("echoed\n");
        std::fflush(stdout);
    }
}

void echo_for_a_while(const options& wanted)
{
    // The same sum as in /proc/PID/schedstat, but exact at the moment of the reading: there, a
    // running thread's time is as old as the last tick.
    clockid_t server_clock = CLOCK_PROCESS_CPUTIME_ID;
    if (wanted.server != 0 && clock_getcpuclockid(wanted.server, &server_clock) != 0)
        fail("--server", ESRCH);

    clients all{wanted};
    all.start();
    all.run_for(wanted.warm_up);
    const std::uint64_t server_before = read_clock(server_clock);
    const std::uint64_t before = read_clock(CLOCK_MONOTONIC);
    const histogram latencies = all.run_for(wanted.seconds);
    const std::uint64_t spent = read_clock(CLOCK_MONOTONIC) - before;
    const std::uint64_t server_spent = read_clock(server_clock) - server_before;
    std::printf("{\"messages\":%llu,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f",
                static_cast<unsigned long long>(latencies.total()),
                static_cast<double>(spent) / 1e9, latencies.quantile_us(0.5),
                latencies.quantile_us(0.99));
    if (wanted.server != 0)
        std::printf(",\"server_ns\":%llu", static_cast<unsigned long long>(server_spent));
    std::printf("}\n");
}

}  // namespace

int main(int count, char** arguments)
{
    const options wanted = parse(count, arguments);
    allow_many_descriptors();
    if (wanted.messages != 0)
        echo_on_demand(wanted);
    else
        echo_for_a_while(wanted);
}

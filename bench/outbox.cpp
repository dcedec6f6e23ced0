// What does a broadcast cost, message by message, and through an outbox for each receiver?
//
//   bench/outbox [rounds]      default 11
//
// 20 messages of 100 bytes to 1,000 connected sockets, per message and receiver, the kernel's work
// included; the receivers read between the rounds. The baseline writes each message to each
// connection. The last rows are the copy alone, and a reference count instead of it.

#include "measure.hpp"

#include <whence/net/outbox.hpp>
#include <whence/runtime/runtime.hpp>

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <stdexcept>
#include <vector>

using namespace whence;

namespace {

constexpr std::size_t receivers = 1000;
constexpr std::size_t messages = 20;
constexpr std::size_t deliveries = receivers * messages;

struct receiver {
    explicit receiver(connection ours, int theirs) : conn(std::move(ours)), fd(theirs) {}
    receiver(const receiver&) = delete;
    receiver& operator=(const receiver&) = delete;
    ~receiver() { ::close(fd); }

    connection conn;
    int fd;
    outbox out{conn, {.when_full = outbox_policy::wait}};
};

using crowd = std::deque<receiver>;

void connect_all(crowd& all)
{
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (std::size_t i = 0; i < receivers; ++i) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
            throw std::runtime_error("socketpair: 2,000 descriptors are needed");
        all.emplace_back(connection{runtime::current().io(), ends[0], {}, {}}, ends[1]);
    }
}

void read_all(crowd& all, std::size_t size)
{
    std::vector<char> into(size);
    for (const receiver& each : all) {
        if (::recv(each.fd, into.data(), size, MSG_WAITALL) != static_cast<ssize_t>(size))
            throw std::runtime_error("a message was lost");
    }
}

/// Measures `send(to, text)`, a task that sends every message to every receiver.
template <class Send>
task<std::vector<double>> measure(int rounds, crowd& all, std::string_view text, Send send)
{
    std::vector<double> each;
    for (int round = 0; round < rounds; ++round) {
        const double begin = bench::thread_time();
        co_await send(all, text);
        each.push_back(bench::per_repeat(begin, deliveries));
        read_all(all, messages * text.size());
    }
    co_return each;
}

task<> write_to_each(crowd& all, std::string_view text)
{
    for (std::size_t i = 0; i < messages; ++i)
        for (receiver& to : all)
            co_await to.conn.write(text);
}

task<> push_together(crowd& all, std::string_view text)
{
    for (std::size_t i = 0; i < messages; ++i)
        for (receiver& to : all)
            to.out.try_push(text);
    for (receiver& to : all)
        co_await to.out.flush();
}

task<> push_single(crowd& all, std::string_view text)
{
    for (std::size_t i = 0; i < messages; ++i) {
        for (receiver& to : all)
            to.out.try_push(text);
        for (receiver& to : all)
            co_await to.out.flush();
    }
}

/// What try_push() alone costs: a queue per receiver, filled and emptied.
template <class Push, class Clear>
void measure_queues(bench::table& results, const char* name, int rounds, Push push, Clear clear)
{
    std::vector<double> each;
    for (int round = 0; round < rounds; ++round) {
        const double begin = bench::thread_time();
        for (std::size_t i = 0; i < messages; ++i)
            for (std::size_t to = 0; to < receivers; ++to)
                push(to);
        for (std::size_t to = 0; to < receivers; ++to)
            clear(to);
        each.push_back(bench::per_repeat(begin, deliveries));
    }
    results.row(name, std::move(each));
}

void measure_copies(bench::table& results, int rounds, std::string_view text)
{
    std::vector<internal::contiguous_queue<std::byte>> copies(receivers);
    measure_queues(
        results, "queue of copies", rounds,
        [&](std::size_t to) {
            copies[to].reserve(text.size());
            copies[to].append(std::as_bytes(std::span{text}));
        },
        [&](std::size_t to) { copies[to].clear(); });
    const auto shared = std::make_shared<const std::string>(text);
    std::vector<std::vector<std::shared_ptr<const std::string>>> pointers(receivers);
    measure_queues(
        results, "queue of shared_ptr, not yet gathered", rounds,
        [&](std::size_t to) { pointers[to].push_back(shared); },
        [&](std::size_t to) { pointers[to].clear(); });
}

task<> measure_all(bench::table& results, int rounds)
{
    const std::string text(100, 'x');
    crowd all;
    connect_all(all);
    auto writes = co_await measure(rounds, all, text, write_to_each);
    results.row("baseline: a write for each, one strand", std::move(writes));
    const i64 before = frames_in_use().bytes;
    scope writers;
    for (receiver& each : all)
        writers.spawn(each.out.run());
    const i64 frame_bytes = frames_in_use().bytes - before;
    auto together = co_await measure(rounds, all, text, push_together);
    results.row("outbox: push 20, written together", std::move(together));
    auto single = co_await measure(rounds, all, text, push_single);
    results.row("outbox: push 1, written at once", std::move(single));
    for (receiver& each : all)
        each.out.close();
    co_await writers.join();
    measure_copies(results, rounds, text);
    std::printf("  an outbox: %zu bytes, its writer's frames %lld\n", sizeof(outbox),
                static_cast<long long>(frame_bytes) / static_cast<long long>(receivers));
}

}  // namespace

int main(int argc, char** argv)
{
    const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 11;
    bench::table results{"broadcast"};
    runtime here;
    here.run(measure_all(results, rounds));
    return results.status();
}

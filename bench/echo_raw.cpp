// The baseline of bench/echo.py: as little as an echo server on io_uring can do.
//
//   bench/echo_raw 127.0.0.1:7001 [multishot|single]      default single
//
// One thread, one ring (SINGLE_ISSUER, DEFER_TASKRUN, registered descriptor), buffers from a ring
// that the kernel reads. `single`: a receive, its send, the next receive. `multishot`: a receive
// stays armed; a client with more than one message in flight may see their pieces swapped, so it is
// for measuring only. No timers, no cancellation, no error but the fatal one: what a framework adds
// has to be measured against nothing.

#include <liburing.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr unsigned entries = 1024;
constexpr unsigned buffers_count = 1024;
constexpr unsigned buffer_size = 4096;
constexpr int group = 0;

// user_data: what it is in the low byte, the buffer in the second and third, the descriptor above.
enum kind : std::uint8_t { accepted, received, sent, closed };

std::uint64_t tag(kind what, int fd, unsigned buffer = 0)
{
    return what | std::uint64_t{buffer} << 8 | static_cast<std::uint64_t>(fd) << 32;
}

io_uring ring;
io_uring_buf_ring* buffers;
std::byte* memory;
bool multishot;

[[noreturn]] void fail(const char* what, int error)
{
    std::fprintf(stderr, "echo_raw: %s: %s\n", what, std::strerror(error));
    std::exit(1);
}

io_uring_sqe* entry()
{
    io_uring_sqe* next = io_uring_get_sqe(&ring);
    if (!next) [[unlikely]] {
        io_uring_submit(&ring);
        next = io_uring_get_sqe(&ring);
    }
    return next;
}

std::byte* at(unsigned buffer)
{
    return memory + std::size_t{buffer} * buffer_size;
}

void give_back(unsigned buffer)
{
    io_uring_buf_ring_add(buffers, at(buffer), buffer_size, static_cast<unsigned short>(buffer),
                          buffers_count - 1, 0);
    io_uring_buf_ring_advance(buffers, 1);
}

void receive(int fd)
{
    io_uring_sqe* next = entry();
    if (multishot)
        io_uring_prep_recv_multishot(next, fd, nullptr, 0, 0);
    else
        io_uring_prep_recv(next, fd, nullptr, 0, 0);
    next->flags |= IOSQE_BUFFER_SELECT;
    next->buf_group = group;
    next->user_data = tag(received, fd);
}

void close_later(int fd)
{
    io_uring_sqe* next = entry();
    io_uring_prep_close(next, fd);
    next->user_data = tag(closed, fd);
}

void on_received(int fd, const io_uring_cqe& done)
{
    if (done.res == -ENOBUFS) [[unlikely]] {
        receive(fd);
        return;
    }
    if (done.res <= 0) [[unlikely]] {
        close_later(fd);
        return;
    }
    const unsigned buffer = done.flags >> IORING_CQE_BUFFER_SHIFT;
    io_uring_sqe* next = entry();
    io_uring_prep_send(next, fd, at(buffer), static_cast<std::size_t>(done.res),
                       MSG_WAITALL | MSG_NOSIGNAL);
    next->user_data = tag(sent, fd, buffer);
    if (multishot && !(done.flags & IORING_CQE_F_MORE)) [[unlikely]]
        receive(fd);
}

void on_completion(const io_uring_cqe& done)
{
    const int fd = static_cast<int>(done.user_data >> 32);
    switch (static_cast<kind>(done.user_data & 0xff)) {
    case received:
        on_received(fd, done);
        break;
    case sent:
        give_back(static_cast<unsigned>(done.user_data >> 8) & 0xffff);
        if (!multishot)
            receive(fd);
        break;
    case accepted:
        if (done.res < 0)
            fail("accept", -done.res);
        receive(done.res);
        break;
    case closed:
        break;
    }
}

int listen_at(const char* text)
{
    char host[64] = {};
    unsigned port = 0;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (std::sscanf(text, "%63[^:]:%u", host, &port) != 2 ||
        inet_pton(AF_INET, host, &address.sin_addr) != 1)
        fail(text, EINVAL);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        listen(fd, 4096) != 0)
        fail(text, errno);
    return fd;
}

void open_ring()
{
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
    params.cq_entries = 4 * entries;
    if (const int error = io_uring_queue_init_params(entries, &ring, &params))
        fail("io_uring_queue_init_params", -error);
    io_uring_register_ring_fd(&ring);
    int error = 0;
    buffers = io_uring_setup_buf_ring(&ring, buffers_count, group, 0, &error);
    if (!buffers)
        fail("io_uring_setup_buf_ring", -error);
    memory =
        static_cast<std::byte*>(mmap(nullptr, std::size_t{buffers_count} * buffer_size,
                                     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (unsigned buffer = 0; buffer < buffers_count; ++buffer)
        give_back(buffer);
}

}  // namespace

int main(int count, char** arguments)
{
    const int listening = listen_at(count > 1 ? arguments[1] : "127.0.0.1:7001");
    multishot = count > 2 && std::strcmp(arguments[2], "multishot") == 0;
    open_ring();
    io_uring_sqe* accepting = entry();
    io_uring_prep_multishot_accept(accepting, listening, nullptr, nullptr, SOCK_CLOEXEC);
    accepting->user_data = tag(accepted, listening);
    for (;;) {
        io_uring_submit_and_wait(&ring, 1);
        unsigned head = 0;
        unsigned seen = 0;
        io_uring_cqe* done = nullptr;
        io_uring_for_each_cqe(&ring, head, done)
        {
            ++seen;
            on_completion(*done);
        }
        io_uring_cq_advance(&ring, seen);
    }
}

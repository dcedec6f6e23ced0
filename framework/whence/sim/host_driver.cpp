#include <whence/sim/host_driver.hpp>

#include <whence/coro/strand.hpp>

#include <linux/tcp.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace whence::inline v0::sim::internal {

namespace {

using whence::internal::from_socket_address;
using whence::internal::socket_address;
using whence::internal::to_socket_address;

// What a turn of the loop costs: time passes for a program that only computes, too.
constexpr nanoseconds turn_time = 1us;
constexpr nanoseconds wall_start = std::chrono::hours(24 * 20454);  // 2026-01-01
// How long a world in which nothing can happen any more waits for another thread.
constexpr seconds wake_time_max{20};

}  // namespace

host_driver::~host_driver()
{
    net_.leave(host_, true);
    while (in_flight_ != 0)
        wait(nanoseconds::zero());
}

void host_driver::submit(operation& op) noexcept
{
    ++in_flight_;
    op.next = nullptr;
    (first_ ? last_->next : first_) = &op;
    last_ = &op;
}

void host_driver::close(int fd) noexcept
{
    if (socket* const one = host_.find(fd))
        net_.close(*one);
}

void host_driver::abort(int fd) noexcept
{
    if (socket* const one = host_.find(fd))
        net_.abort(*one);
}

void host_driver::shutdown_write(int fd) noexcept
{
    if (socket* const one = host_.find(fd))
        net_.shutdown(*one);
}

nanoseconds host_driver::wall_now() noexcept
{
    return wall_start + net_.now().time_since_epoch();
}

bool host_driver::has_work() const noexcept
{
    return woken_.load() || first_ || !cancelled_.empty() || !host_.completed.empty() ||
           (!host_.starved.empty() && host_.buffers.available() != 0);
}

void host_driver::wait(nanoseconds at_most) noexcept
{
    net_.pass(turn_time);
    const time_point until = later(now(), at_most);
    for (;;) {
        take();
        while (net_.next_due() && *net_.next_due() <= now())
            net_.step();
        if (deliver() || woken_.exchange(false) || now() >= until)
            return;
        if (const auto next = net_.next_due(); next && *next <= until)
            net_.step();
        else if (until != time_point::max())
            net_.pass(until - now());
        else
            wait_for_wake();
    }
}

void host_driver::settle() noexcept
{
    wait(nanoseconds::zero());
    while (in_flight_ != 0 && net_.next_due()) {
        net_.step();
        wait(nanoseconds::zero());
    }
}

void host_driver::wake() noexcept
{
    woken_.store(true);
    const std::lock_guard guard{lock_};
    called_.notify_one();
}

void host_driver::wait_for_wake() noexcept
{
    std::unique_lock guard{lock_};
    const bool called = called_.wait_for(guard, wake_time_max, [&] { return woken_.load(); });
    expects(called, "everybody in the simulated world waits for ever");
}

/// Does what was asked for since the last time.
void host_driver::take()
{
    net_.feed_starved(host_);
    for (operation* op = std::exchange(first_, nullptr); op;) {
        operation* const next = op->next;
        begin(*op);
        op = next;
    }
    for (operation* const op : std::exchange(cancelled_, {}))
        net_.cancel(host_, *op);
}

void host_driver::begin(operation& op)
{
    if (host_.dead)
        return host_.finish(op, -ECANCELED);
    if (host_.options.fail_operation != 0 && --host_.options.fail_operation == 0)
        return host_.finish(op, -host_.options.fail_with);
    if (op.what == verb::write || op.what == verb::read)
        return write_out(op);
    socket* const one = host_.find(op.fd);
    if (!one)
        return host_.finish(op, -EBADF);
    switch (op.what) {
    case verb::accept_many:
        return net_.accept(*one, op);
    case verb::connect: {
        socket_address to;
        to.size = op.size;
        std::memcpy(&to.storage, op.data, op.size);
        return net_.connect(*one, op, from_socket_address(to));
    }
    case verb::recv:
    case verb::recv_pooled:
        return net_.receive(*one, op);
    case verb::send:
        return net_.send(*one, op);
    case verb::nothing:
    case verb::read:
    case verb::write:
        break;
    }
    host_.finish(op, -EINVAL);
}

/// Takes what is written to stdout and stderr; there are no other files here.
void host_driver::write_out(operation& op)
{
    if (op.what == verb::read || op.fd < 1 || op.fd > 2)
        return host_.finish(op, -EBADF);
    const bool cut = op.size > 1 && net_.chance.chance(host_.options.short_write_chance);
    const u64 size = cut ? net_.chance.between(1, op.size - 1) : op.size;
    if (host_.writes_through) {
        const ssize_t written = ::write(op.fd, op.data, size);
        return host_.finish(op, written < 0 ? -errno : static_cast<int>(written));
    }
    host_.output[op.fd].append(static_cast<const char*>(op.data), size);
    host_.finish(op, static_cast<int>(size));
}

bool host_driver::deliver() noexcept
{
    if (host_.completed.empty())
        return false;
    delivering_.swap(host_.completed);
    for (const completion& one : delivering_) {
        host_.metrics.completions.add();
        operation& op = *one.op;
        if (one.more) {
            op.result = one.result;
            op.done(op);
            continue;
        }
        --in_flight_;
        if (op.what == verb::send)
            op.offset = 0;
        op.driver_flags = 0;
        std::erase(cancelled_, &op);
        complete(op, one.result);
    }
    delivering_.clear();
    return true;
}

// ---- the calls that answer at once --------------------------------------------------------------

int host_driver::open(int family, int type) noexcept
{
    if (host_.dead)
        return -ENETDOWN;
    if (type != SOCK_STREAM || (family != AF_INET && family != AF_INET6 && family != AF_UNIX))
        return -EAFNOSUPPORT;
    socket& one = net_.open(host_, family);
    one.fd = host_.open_descriptor(one.id);
    if (one.fd < 0) {
        const int error = one.fd;
        net_.destroy(one);
        return error;
    }
    return one.fd;
}

int host_driver::bind(int fd, const socket_address& local) noexcept
{
    socket* const one = host_.find(fd);
    return one ? net_.bind(*one, from_socket_address(local)) : -EBADF;
}

int host_driver::listen(int fd, int backlog) noexcept
{
    socket* const one = host_.find(fd);
    return one ? net_.listen(*one, backlog) : -EBADF;
}

int host_driver::local(int fd, socket_address& into) noexcept
{
    const socket* const one = host_.find(fd);
    if (!one)
        return -EBADF;
    into = to_socket_address(one->local);
    return 0;
}

int host_driver::peer(int fd, socket_address& into) noexcept
{
    const socket* const one = host_.find(fd);
    if (!one)
        return -EBADF;
    if (one->is != socket::phase::connected)
        return -ENOTCONN;
    into = to_socket_address(one->peer);
    return 0;
}

int host_driver::set_option(int fd, int level, int name, const void* value, u32 size) noexcept
{
    socket* const one = host_.find(fd);
    int number = 0;
    if (!one)
        return -EBADF;
    if (size != sizeof number)
        return -EINVAL;
    std::memcpy(&number, value, sizeof number);
    one->options[{level, name}] = number;
    return 0;
}

int host_driver::option(int fd, int level, int name, void* value, u32& size) noexcept
{
    const socket* const one = host_.find(fd);
    if (!one)
        return -EBADF;
    const auto answer = [&](const auto& known) {
        size = std::min<u32>(size, sizeof known);
        std::memcpy(value, &known, size);
        return 0;
    };
    if (level == SOL_SOCKET && name == SO_PEERCRED) {
        const socket* const other = net_.find(one->other);
        const u32 id = other && one->peer.is_unix() ? other->at->options.uid : ~u32{0};
        return answer(ucred{.pid = 0, .uid = id, .gid = id});
    }
    if (level == IPPROTO_TCP && name == TCP_INFO) {
        tcp_info about{};
        about.tcpi_bytes_acked = one->acknowledged;
        return one->family == AF_UNIX ? -EOPNOTSUPP : answer(about);
    }
    if (level == SOL_SOCKET && name == SO_TYPE)
        return answer(int{SOCK_STREAM});
    if (level == SOL_SOCKET && name == SO_DOMAIN)
        return answer(one->family);
    if (level == SOL_SOCKET && name == SO_PROTOCOL)
        return answer(one->family == AF_UNIX ? 0 : int{IPPROTO_TCP});
    if (level == SOL_SOCKET && name == SO_ACCEPTCONN)
        return answer(int{one->is == socket::phase::listening});
    const auto found = one->options.find({level, name});
    return answer(found == one->options.end() ? 0 : found->second);
}

}  // namespace whence::inline v0::sim::internal

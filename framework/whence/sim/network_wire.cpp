#include <whence/sim/network.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace whence::inline v0::sim::internal {

namespace {

// What is not acknowledged is sent again for about this long: tcp_retries2 of 15.
constexpr nanoseconds resend_time_max = 924s;

}  // namespace

// ---- the wire -----------------------------------------------------------------------------------

const network_options& network::options_of(const socket& one) const noexcept
{
    if (!one.far || special_.empty())
        return usual_;
    const auto found = special_.find(between(*one.at, *one.far));
    return found == special_.end() ? usual_ : found->second;
}

void network::set_options(const stack& a, const stack& b, const network_options& options)
{
    special_.insert_or_assign(between(a, b), options);
}

/// Tells that nothing gets from one end to the other.
bool network::is_cut(const socket& one) const noexcept
{
    return one.far &&
           (one.at->silent || one.far->silent || cuts_.contains(between(*one.at, *one.far)));
}

void network::cut(const stack& a, const stack& b)
{
    cuts_.insert(between(a, b));
    watch_all();
}

/// Starts the clocks of those whose path has been cut.
void network::watch_all()
{
    for (const auto& one : sockets_) {
        if (one && one->is == socket::phase::connected && is_cut(*one))
            watch_silence(*one);
    }
}

void network::mend(const stack& a, const stack& b)
{
    cuts_.erase(between(a, b));
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
        if (sockets_[i] && sockets_[i]->is == socket::phase::connected)
            pump(*sockets_[i]);
    }
}

void network::leave(stack& host, bool told)
{
    host.dead = true;
    host.silent = !told;
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
        socket* const one = sockets_[i].get();
        if (!one || one->at != &host)
            continue;
        for (operation* const op : {one->receiving, one->sending, one->waiting}) {
            if (op)
                host.finish(*op, -ECANCELED);
        }
        one->receiving = one->sending = one->waiting = nullptr;
        if (told && one->fd >= 0) {
            close(*one);
        } else if (!told) {
            one->is = socket::phase::over;
            one->outgoing.clear();
            if (one->fd < 0)
                destroy(*one);
        }
    }
    host.starved.clear();
    watch_all();
}

nanoseconds network::latency(const socket& one)
{
    const network_options& with = options_of(one);
    nanoseconds time = chance.between(with.latency_min, with.latency_max);
    if (chance.chance(with.stall_chance))
        time += chance.between(nanoseconds::zero(), with.stall_max);
    return time;
}

time_point network::arrival(socket& one)
{
    one.arrives_last = std::max(one.arrives_last + 1ns, now_ + latency(one));
    return one.arrives_last;
}

/// Puts on the wire what there is and the other end has room for.
void network::pump(socket& one)
{
    const socket* const other = find(one.other);
    if (is_cut(one)) {
        watch_silence(one);
        return;
    }
    const network_options& with = options_of(one);
    while (one.in_flight < one.outgoing.size()) {
        const std::size_t taken = (other ? other->received.size() : 0) + one.in_flight;
        if (taken >= with.receive_buffer)
            return;
        const std::size_t whole =
            std::min({one.outgoing.size() - one.in_flight, with.receive_buffer - taken,
                      std::size_t{with.segment_size_max}});
        const std::size_t size =
            whole > 1 && chance.chance(with.cut_chance) ? chance.between(1, whole) : whole;
        one.in_flight += size;
        later_at(arrival(one), &network::on_segment, one.id, size);
    }
    if (one.end_asked && !std::exchange(one.end_sent, true))
        later_at(arrival(one), &network::on_end, one.id);
}

void network::on_segment(socket& from, u64 size)
{
    if (from.is != socket::phase::connected)
        return;
    note("segment", from, size);
    from.in_flight -= size;
    if (is_cut(from))
        return watch_silence(from);  // lost: it goes out again when the path is mended
    socket* const to = find(from.other);
    const bool cut_short = from.acknowledged + size > from.reset_at;
    if (cut_short)
        size = from.reset_at - from.acknowledged;
    if (!to || to->closed || to->is == socket::phase::over) {
        from.outgoing.drop(size);
        if (to)
            fail(*to, ECONNRESET);  // may be the end of it
        return later_at(now_ + latency(from), &network::on_reset, from.id, ECONNRESET);
    }
    to->received.reserve(size);
    to->received.append(from.outgoing.items().first(size));
    from.outgoing.drop(size);
    from.acknowledged += size;
    if (cut_short) {
        fail(*to, ECONNRESET);
        return fail(from, ECONNRESET);
    }
    go_on_receiving(*to);
    go_on_sending(from);
    pump(from);
}

void network::on_end(socket& from, u64)
{
    note("end", from);
    if (is_cut(from)) {
        from.end_sent = false;
        return watch_silence(from);
    }
    from.end_arrived = true;
    if (socket* const to = find(from.other)) {
        to->end_received = true;
        go_on_receiving(*to);
    }
    drop_if_over(from);
}

/// Lets the other end know that this one is no more: behind what it was sent before.
void network::reset_other(socket& one)
{
    if (!find(one.other) || one.is == socket::phase::over || is_cut(one))
        return;
    later_at(arrival(one), &network::on_reset, one.other, ECONNRESET);
}

void network::on_reset(socket& to, u64 error)
{
    if (!is_cut(to))
        fail(to, static_cast<int>(error));
}

/// Ends a connection with an error for whoever uses it: what was received can still be read.
void network::fail(socket& one, int error)
{
    if (one.is == socket::phase::over)
        return drop_if_over(one);
    note("fail", one, static_cast<u64>(error));
    one.is = socket::phase::over;
    // Behind the peer's end a reset says that nobody reads us, as in Linux.
    one.error = error == ECONNRESET && one.end_received ? EPIPE : error;
    one.outgoing.clear();
    one.in_flight = 0;
    go_on_receiving(one);
    go_on_sending(one);
    drop_if_over(one);
}

/// Looks at the clock while the path is cut: what is sent meanwhile is not acknowledged, and probes
/// are not answered.
void network::watch_silence(socket& one)
{
    const auto option = [&](int level, int name) {
        const auto found = one.options.find({level, name});
        return found == one.options.end() ? 0 : found->second;
    };
    nanoseconds patience = nanoseconds::max();
    if (!one.outgoing.empty() || one.end_asked) {
        const int user_timeout = option(IPPROTO_TCP, TCP_USER_TIMEOUT);
        patience = user_timeout > 0 ? nanoseconds(milliseconds(user_timeout)) : resend_time_max;
    } else if (option(SOL_SOCKET, SO_KEEPALIVE) != 0) {
        patience = seconds(option(IPPROTO_TCP, TCP_KEEPIDLE) +
                           option(IPPROTO_TCP, TCP_KEEPINTVL) * option(IPPROTO_TCP, TCP_KEEPCNT));
    }
    if (patience != nanoseconds::max() && !std::exchange(one.giving_up, true))
        later_at(now_ + patience, &network::on_silence, one.id);
}

void network::on_silence(socket& one, u64)
{
    one.giving_up = false;
    if (one.is == socket::phase::connected && (is_cut(one) || !find(one.other)))
        fail(one, ETIMEDOUT);
}

// ---- bytes --------------------------------------------------------------------------------------

void network::receive(socket& one, operation& op)
{
    if (one.is == socket::phase::open || one.is == socket::phase::connecting)
        return one.at->finish(op, -ENOTCONN);
    one.receiving = &op;
    go_on_receiving(one);
}

void network::go_on_receiving(socket& one)
{
    if (!one.receiving)
        return;
    operation& op = *one.receiving;
    if (!one.received.empty()) {
        const bool pooled = op.what == verb::recv_pooled;
        if (pooled &&
            (one.at->buffers.available() == 0 || chance.chance(one.at->options.starve_chance)))
        {
            if (std::ranges::find(one.at->starved, &op) == one.at->starved.end()) {
                one.at->starved.push_back(&op);
                one.at->metrics.starved.add();
            }
            return;
        }
        std::erase(one.at->starved, &op);
        const u32 room = pooled ? one.at->buffers.buffer_size() : op.size;
        const std::size_t size = std::min<std::size_t>(room, one.received.size());
        const const_bytes taken = one.received.items().first(size);
        if (pooled)
            op.data = one.at->buffers.fill(taken);
        else
            std::ranges::copy(taken, static_cast<std::byte*>(op.data));
        one.received.drop(size);
        one.receiving = nullptr;
        one.at->finish(op, static_cast<int>(size));
        if (socket* const other = find(one.other); other && other->is == socket::phase::connected)
            pump(*other);
    } else if (one.end_received) {
        one.receiving = nullptr;
        one.at->finish(op, 0);
    } else if (one.is == socket::phase::over) {
        one.receiving = nullptr;
        one.at->finish(op, -std::exchange(one.error, 0));
    }
}

void network::feed_starved(stack& host)
{
    for (const operation* const op : std::exchange(host.starved, {}))
        go_on_receiving(*host.find(op->fd));
}

void network::send(socket& one, operation& op)
{
    if (one.is == socket::phase::open || one.is == socket::phase::connecting)
        return one.at->finish(op, -ENOTCONN);
    one.sending = &op;
    go_on_sending(one);
}

void network::go_on_sending(socket& one)
{
    if (!one.sending)
        return;
    operation& op = *one.sending;
    if (one.error != 0 || one.end_asked || one.is == socket::phase::over) {
        one.sending = nullptr;
        const int error = std::exchange(one.error, 0);
        return one.at->finish(op, error != 0 ? -error : -EPIPE);
    }
    const std::size_t waiting = one.outgoing.size();
    const std::size_t buffer = options_of(one).send_buffer;
    const std::size_t size = std::min<std::size_t>(op.size, buffer - std::min(buffer, waiting));
    one.outgoing.reserve(size);
    one.outgoing.append({static_cast<const std::byte*>(op.data), size});
    op.data = static_cast<std::byte*>(op.data) + size;
    op.size -= static_cast<u32>(size);
    op.offset += size;
    if (op.size == 0) {
        one.sending = nullptr;
        one.at->finish(op, static_cast<int>(op.offset));
    }
    pump(one);
}

void network::cancel(stack& host, operation& op)
{
    socket* const one = host.find(op.fd);
    if ((op.driver_flags & flag_over) || !one)
        return;  // it was too late
    op.driver_flags |= flag_asked_back;
    if (chance.chance(host.options.late_cancel_chance))
        later_at(now_ + latency(*one), &network::on_cancel, one->id);
    else
        on_cancel(*one, 0);
}

void network::on_cancel(socket& one, u64)
{
    for (operation** const place : {&one.receiving, &one.sending, &one.waiting}) {
        if (!*place || !((*place)->driver_flags & flag_asked_back))
            continue;
        operation& op = *std::exchange(*place, nullptr);
        std::erase(one.at->starved, &op);
        const bool sent = op.what == verb::send && op.offset != 0;
        one.at->finish(op, sent ? static_cast<int>(op.offset) : -ECANCELED);
    }
}

}  // namespace whence::inline v0::sim::internal

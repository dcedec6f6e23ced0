#include <whence/sim/network.hpp>

#include <whence/base/check.hpp>

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace whence::inline v0::sim::internal {

namespace {

// A request for a connection that is not answered goes out again after 1, 2, 4, ... 32 seconds, and
// the connect fails after 127: the kernel's tcp_syn_retries of 6.
constexpr u64 requests_max = 7;

}  // namespace

// ---- events -------------------------------------------------------------------------------------

void network::later_at(time_point due, void (network::*happens)(socket&, u64), socket_id to,
                       u64 detail)
{
    events_.at(due, {happens, to, detail});
}

void network::at(time_point due, std::function<void()> act)
{
    scripts_.emplace(next_script_, std::move(act));
    events_.at(due, {nullptr, 0, next_script_++});
}

void network::step()
{
    now_ = std::max(now_, *events_.next_due());
    const event next = events_.take();
    if (!next.happens)
        scripts_.extract(next.detail).mapped()();
    else if (socket* const to = find(next.to))
        (this->*next.happens)(*to, next.detail);
}

void network::note(const char* what, const socket& one, u64 detail)
{
    for (const u64 word : {static_cast<u64>(now_.time_since_epoch().count()), one.id, detail,
                           static_cast<u64>(what[0]) << 8 | static_cast<u64>(what[1])})
        digest_ = (digest_ ^ word) * 0x100000001b3;
    if (trace_) {
        const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(
            now_.time_since_epoch() - time_point(1h).time_since_epoch());
        trace_(std::to_string(micros.count()) + " us  " + to_string(one.local) + " -> " +
               to_string(one.peer) + "  " + what + ' ' + std::to_string(detail));
    }
}

// ---- sockets ------------------------------------------------------------------------------------

socket* network::find(socket_id id) const noexcept
{
    const auto index = static_cast<u32>(id);
    socket* const found = index < sockets_.size() ? sockets_[index].get() : nullptr;
    return found && found->id == id ? found : nullptr;
}

socket& network::open(stack& host, int family)
{
    if (free_.empty()) {
        free_.push_back(static_cast<u32>(sockets_.size()));
        sockets_.emplace_back();
        generations_.push_back(0);
    }
    const u32 index = free_.back();
    free_.pop_back();
    auto made = std::make_unique<socket>();
    made->id = u64{++generations_[index]} << 32 | index;
    made->at = &host;
    made->family = family;
    sockets_[index] = std::move(made);
    return *sockets_[index];
}

void network::destroy(socket& one)
{
    const auto index = static_cast<u32>(one.id);
    sockets_[index].reset();
    free_.push_back(index);
}

/// Ends what nobody holds and from which nothing is on its way any more.
void network::drop_if_over(socket& one)
{
    if (one.closed && (one.is != socket::phase::connected || one.end_arrived))
        destroy(one);
}

stack* network::host_at(const stack& from, const endpoint& to) const noexcept
{
    if (!to.is_ip() || from.has(to.address().canonical()))
        return const_cast<stack*>(&from);
    const auto found = std::ranges::find_if(hosts_, [&](const stack* host) {
        return !to.address().is_loopback() && host->has(to.address().canonical());
    });
    return found == hosts_.end() ? nullptr : *found;
}

namespace {

/// Tells whether a socket that is bound to `local` is reached at `to`.
bool is_reached(const socket& bound, const endpoint& to)
{
    if (!bound.local.is_ip() || !to.is_ip())
        return bound.local == to;
    const ip_address local = bound.local.address();
    if (bound.local.port() != to.port())
        return false;
    if (!local.is_unspecified())
        return local.canonical() == to.address().canonical();
    const auto only = bound.options.find({IPPROTO_IPV6, IPV6_V6ONLY});
    const bool v6_only = only != bound.options.end() && only->second != 0;
    return to.address().canonical().is_v4() ? local.is_v4() || !v6_only : local.is_v6();
}

}  // namespace

socket* network::listener_at(const stack& host, const endpoint& to)
{
    std::vector<socket*> all;
    for (const socket_id id : host.listening) {
        socket* const one = find(id);
        if (one->is == socket::phase::listening && is_reached(*one, to))
            all.push_back(one);
    }
    if (all.empty())
        return nullptr;
    return all.size() == 1 ? all.front() : all[chance.below(all.size())];
}

u16 network::free_port(stack& host)
{
    constexpr u16 first = 32768;
    const auto is_taken = [&](u16 port) {
        return std::ranges::any_of(sockets_, [&](const auto& one) {
            return one && one->at == &host && one->local.port() == port;
        });
    };
    u16 port = 0;
    do
        port = host.next_port = std::max<u16>(first, static_cast<u16>(host.next_port + 1));
    while (is_taken(port));
    return port;
}

int network::bind(socket& one, const endpoint& local)
{
    if (local.is_ip() && !one.at->has(local.address().canonical()))
        return -EADDRNOTAVAIL;
    if (!one.local.empty())
        return -EINVAL;
    endpoint wanted = local;
    if (local.is_ip() && local.port() == 0)
        wanted = endpoint{local.address(), free_port(*one.at), local.scope_id()};
    const auto reuse = [](const socket& of) {
        const auto found = of.options.find({SOL_SOCKET, SO_REUSEPORT});
        return found != of.options.end() && found->second != 0;
    };
    for (const socket_id id : one.at->listening) {
        const socket& other = *find(id);
        const bool clash =
            other.local.is_ip() && wanted.is_ip()
                ? other.local.port() == wanted.port() &&
                      (other.local.address() == wanted.address() ||
                       other.local.address().is_unspecified() || wanted.address().is_unspecified())
                : other.local == wanted;
        if (clash && !(reuse(one) && reuse(other)))
            return -EADDRINUSE;
    }
    one.local = std::move(wanted);
    one.at->listening.push_back(one.id);
    return 0;
}

int network::listen(socket& one, int backlog)
{
    if (one.local.empty())
        return -EDESTADDRREQ;
    one.backlog = static_cast<std::size_t>(std::max(backlog, 0)) + 1;
    one.is = socket::phase::listening;
    return 0;
}

void network::close(socket& one)
{
    expects(!one.in_use(), "a descriptor is closed when nothing is in flight on it");
    if (!one.received.empty())
        return abort(one);  // as Linux does: the peer must not think that it was read
    note("close", one);
    one.at->close_descriptor(one.fd);
    one.fd = -1;
    one.closed = true;
    std::erase(one.at->listening, one.id);
    for (const socket_id id : std::exchange(one.arrived, {})) {
        if (socket* const waiting = find(id))
            abort(*waiting);
    }
    one.end_asked = true;
    if (one.is == socket::phase::connected)
        pump(one);
    if (one.is == socket::phase::connecting)
        reset_other(one);
    drop_if_over(one);
}

void network::abort(socket& one)
{
    expects(!one.in_use(), "a descriptor is closed when nothing is in flight on it");
    note("abort", one);
    if (one.fd >= 0)
        one.at->close_descriptor(one.fd);
    std::erase(one.at->listening, one.id);
    reset_other(one);
    destroy(one);
}

void network::shutdown(socket& one)
{
    if (one.is != socket::phase::connected)
        return;
    note("shutdown", one);
    one.end_asked = true;
    pump(one);
}

// ---- connecting ---------------------------------------------------------------------------------

void network::connect(socket& one, operation& op, const endpoint& to)
{
    if (one.is != socket::phase::open)
        return one.at->finish(op, -EISCONN);
    stack* const host = host_at(*one.at, to);
    if (!host)
        return one.at->finish(op, -ENETUNREACH);
    one.waiting = &op;
    one.is = socket::phase::connecting;
    one.far = host;
    one.peer = to.is_unix() ? to : to.canonical();
    if (one.local.empty() && to.is_unix()) {
        one.local = endpoint::unix_unnamed();
    } else if (one.local.empty()) {
        const ip_address there = one.peer.address();
        const auto own = std::ranges::find_if(one.at->addresses, [&](const ip_address& address) {
            return address.is_v4() == there.is_v4();
        });
        one.local = endpoint{there.is_loopback() || own == one.at->addresses.end() ? there : *own,
                             free_port(*one.at)};
    }
    note("connect", one);
    later_at(now_ + latency(one), &network::on_request, one.id, 1);
}

void network::on_request(socket& from, u64 attempt)
{
    stack& host = *host_at(*from.at, from.peer);
    socket* const at = listener_at(host, from.peer);
    const network_options& with = options_of(from);
    const bool lost = is_cut(from) || (at && at->arrived.size() >= at->backlog) ||
                      chance.chance(with.lose_chance);
    note("request", from, attempt);
    if (lost && from.peer.is_unix())
        return later_at(now_, &network::on_established, from.id, EAGAIN);
    if (lost && attempt == requests_max)
        return later_at(now_ + 64s, &network::on_established, from.id, ETIMEDOUT);
    if (lost) {
        const nanoseconds pause = seconds(1LL << (attempt - 1));
        return later_at(now_ + pause, &network::on_request, from.id, attempt + 1);
    }
    if (!at || chance.chance(with.refuse_chance))
        return later_at(now_ + latency(from), &network::on_established, from.id, ECONNREFUSED);
    welcome(from, *at);
}

/// Makes the other end, which waits at the listener until it is accepted.
void network::welcome(socket& from, socket& at)
{
    socket& made = open(*at.at, at.family);
    made.is = socket::phase::connected;
    made.local = from.peer;
    made.peer = from.local;
    made.options = at.options;
    made.other = from.id;
    made.far = from.at;
    from.other = made.id;
    const network_options& with = options_of(from);
    if (chance.chance(with.reset_chance))
        (chance.chance(0.5) ? made : from).reset_at = chance.below(u64{with.reset_within} + 1);
    // What is sent to the one that asked comes behind the answer.
    later_at(arrival(made), &network::on_established, from.id);
    at.arrived.push_back(made.id);
    go_on_accepting(at);
}

void network::on_established(socket& one, u64 error)
{
    if (one.is != socket::phase::connecting)
        return;
    note("established", one, error);
    one.is = error == 0 ? socket::phase::connected : socket::phase::open;
    if (operation* const op = std::exchange(one.waiting, nullptr))
        one.at->finish(*op, -static_cast<int>(error));
}

void network::accept(socket& one, operation& op)
{
    if (one.is != socket::phase::listening)
        return one.at->finish(op, -EINVAL);
    one.waiting = &op;
    go_on_accepting(one);
}

void network::go_on_accepting(socket& at)
{
    while (at.waiting && !at.arrived.empty()) {
        socket* const next = find(at.arrived.front());
        if (!next) {
            at.arrived.pop_front();
            continue;
        }
        const int fd = at.at->open_descriptor(next->id);
        if (fd < 0)
            return at.at->finish(*std::exchange(at.waiting, nullptr), fd);
        next->fd = fd;
        at.arrived.pop_front();
        at.at->finish(*at.waiting, fd, true);
    }
}

}  // namespace whence::inline v0::sim::internal

#include <whence/middleware/client_table.hpp>

#include <algorithm>

namespace whence::inline v0::internal {

namespace {

/// A set shows its elements as const for the sake of their keys, which are const anyway.
client_entry& entry_at(const client_entry& element) noexcept
{
    return const_cast<client_entry&>(element);
}

}  // namespace

u32 client_hash::operator()(const client_key& key) const noexcept
{
    u64 sum = multipliers.back();
    for (std::size_t i = 0; i < key.size(); ++i)
        sum += multipliers[i] * key[i];
    return static_cast<u32>(sum >> 32);
}

client_table::client_table(const client_limits_options& options, const client_hash::seed& seed)
    : local(options.local_max), unknown(options.unknown_max), options_(options), hash_{seed},
      clients_(options.clients_max)
{
    if (options.new_per_second_max != client_limits_options::unlimited) {
        const u32 rate = options.new_per_second_max;
        const u32 burst = options.new_burst_max == 0 ? rate : options.new_burst_max;
        // Rounded up: never more than was said.
        interval_ = nanoseconds{(nanoseconds{1s}.count() + rate - 1) / rate};
        ahead_max_ = interval_ * i64{burst - 1};
    }
    shards_.reserve(shards_count);
    for (std::size_t i = 0; i < shards_count; ++i)
        shards_.push_back(std::make_unique<shard>(hash_));
}

client_table::answer client_table::take(const client_identity& client, time_point at)
{
    const client_key key = key_of(client);
    shard& home = *shards_[shard_index(key)];
    {
        const std::lock_guard guard{home.lock};
        if (const auto known = home.clients.find(key); known != home.clients.end())
            return admit(entry_at(*known), at);
        sweep(home, at);
    }
    // Making room looks into other shards, and two locks at once is one too many.
    if (!clients_.take() && !make_room(key))
        return {nullptr, "too_many_clients"};
    try {
        const std::lock_guard guard{home.lock};
        const auto [place, is_new] = home.clients.emplace(key, at);
        if (!is_new)
            clients_.give();  // another thread was faster
        return admit(entry_at(*place), at);
    } catch (...) {
        clients_.give();
        throw;
    }
}

/// Decides about one connection more.
client_table::answer client_table::admit(client_entry& entry, time_point at) const noexcept
{
    if (entry.connections >= options_.connections_per_client_max)
        return {nullptr, "client_connections"};
    if (entry.whole_at - at > ahead_max_)
        return {nullptr, "client_rate"};
    if (entry.linked())
        entry.unlink();
    ++entry.connections;
    entry.whole_at = std::max(entry.whole_at, at) + interval_;
    return {&entry, nullptr};
}

void client_table::give(client_entry& entry, time_point at) noexcept
{
    shard& home = *shards_[shard_index(entry.key)];
    const std::lock_guard guard{home.lock};
    if (--entry.connections != 0)
        return;
    if (entry.whole_at <= at)
        forget(home, entry);
    else
        home.idle.push_back(entry);
}

/// Forgets some of those who have been away until their rate was whole.
void client_table::sweep(shard& in, time_point at) noexcept
{
    for (int i = 0; i < sweep_size && !in.idle.empty(); ++i) {
        if (in.idle.front().whole_at > at)
            return;
        forget(in, in.idle.pop_front());
    }
}

void client_table::forget(shard& in, client_entry& entry) noexcept
{
    in.clients.erase(in.clients.find(entry.key));
    clients_.give();
}

/// Forgets an idle client, and keeps its place for another. False: all are connected.
bool client_table::make_room(const client_key& wanted) noexcept
{
    const std::size_t first = shard_index(wanted);
    for (std::size_t i = 0; i < shards_count; ++i) {
        shard& each = *shards_[(first + i) % shards_count];
        const std::lock_guard guard{each.lock};
        if (each.idle.empty())
            continue;
        each.clients.erase(each.clients.find(each.idle.pop_front().key));
        return true;
    }
    return false;
}

client_key client_table::key_of(const client_identity& client) const noexcept
{
    const auto kind = static_cast<u32>(client.kind);
    if (client.kind == client_kind::user)
        return {client.uid, 0, 0, 0, kind};
    const bool v4 = client.address.is_v4();
    const auto bytes =
        client.address.leading(v4 ? options_.ipv4_prefix : options_.ipv6_prefix).bytes();
    // The mapped form of a shortened IPv4 address is no shortened IPv6 address: those of
    // ::ffff:0:0/96 have become IPv4 before.
    return {load_big<u32>(bytes.data()), load_big<u32>(bytes.data() + 4),
            load_big<u32>(bytes.data() + 8), load_big<u32>(bytes.data() + 12), kind};
}

std::size_t client_table::shard_index(const client_key& key) const noexcept
{
    static_assert(shards_count == 64, "the upper six bits choose");
    return hash_(key) >> 26;
}

}  // namespace whence::inline v0::internal

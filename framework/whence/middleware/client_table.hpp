#pragma once

// Not a public header: what client_limits remembers of each client.

#include <whence/base/intrusive_list.hpp>
#include <whence/middleware/client_identity.hpp>
#include <whence/middleware/client_limits.hpp>
#include <whence/middleware/counted_place.hpp>

#include <array>
#include <mutex>
#include <unordered_set>
#include <vector>

namespace whence::inline v0::internal {

/// Tells clients apart: the four words of a network's address, or a user, and which of these.
using client_key = std::array<u32, 5>;

/// Hashes keys so that nobody can choose some that collide: with secret multipliers, any two keys
/// do once in 2^32.
/// source: Thorup, "High Speed Hashing for Integers and Strings", section 3.5.
struct client_hash {
    using is_transparent = void;
    using seed = std::array<u64, std::tuple_size_v<client_key> + 1>;

    u32 operator()(const client_key& key) const noexcept;
    template <class Entry>
    u32 operator()(const Entry& entry) const noexcept
    {
        return (*this)(entry.key);
    }

    seed multipliers;
};

struct client_equal {
    using is_transparent = void;

    static client_key key_of(const client_key& key) noexcept { return key; }
    template <class Entry>
    static client_key key_of(const Entry& entry) noexcept
    {
        return entry.key;
    }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const noexcept
    {
        return key_of(a) == key_of(b);
    }
};

/// Is what is known of one client. In the list of the idle when it has no connection left and its
/// rate is not whole yet; it is forgotten once both are so.
struct client_entry : list_node<client_entry> {
    client_entry(const client_key& own_key, time_point at) noexcept : key(own_key), whole_at(at) {}

    const client_key key;
    u32 connections = 0;
    time_point whole_at;  // when the bucket is full again: all that a token bucket has to remember
};

/// Counts connections by client, for many threads.
class client_table {
public:
    client_table(const client_limits_options& options, const client_hash::seed& seed);

    /// Holds the client's entry, or why there is no place in it.
    struct answer {
        client_entry* entry;
        const char* refusal;
    };
    /// Takes a place for a connection of a client, kind address or user.
    /// errors: std::bad_alloc, and nothing is taken.
    answer take(const client_identity& client, time_point at);
    /// Gives a place back.
    void give(client_entry& entry, time_point at) noexcept;

    u32 clients() const noexcept { return clients_.taken(); }

    place_counter local;
    place_counter unknown;

private:
    // Connections come and go on all threads at once; each of these is locked for some tens of
    // nanoseconds.
    static constexpr std::size_t shards_count = 64;
    static constexpr int sweep_size = 2;  // forgotten for one that is new: the idle become fewer

    struct alignas(64) shard {
        explicit shard(const client_hash& hash) : clients(0, hash) {}

        std::mutex lock;
        std::unordered_set<client_entry, client_hash, client_equal> clients;
        intrusive_list<client_entry> idle;  // away longest first
    };

    client_key key_of(const client_identity& client) const noexcept;
    std::size_t shard_index(const client_key& key) const noexcept;
    answer admit(client_entry& entry, time_point at) const noexcept;
    void sweep(shard& in, time_point at) noexcept;
    void forget(shard& in, client_entry& entry) noexcept;
    bool make_room(const client_key& wanted) noexcept;

    const client_limits_options options_;
    nanoseconds interval_{};  // between two new connections, over time; zero: no rate
    nanoseconds ahead_max_ = nanoseconds::max();
    client_hash hash_;
    place_counter clients_;
    std::vector<std::unique_ptr<shard>> shards_;
};

}  // namespace whence::inline v0::internal

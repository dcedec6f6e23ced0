#include <whence/middleware/client_table.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace whence;
using internal::client_entry;
using internal::client_identity;
using internal::client_kind;
using internal::client_table;

namespace {

constexpr internal::client_hash::seed seed{
    0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0,
    0x082efa98ec4e6c89, 0x452821e638d01377, 0xbe5466cf34e90c6c,
};

client_identity at_address(std::string_view text)
{
    return {client_kind::address, ip_address::parse(text)->canonical()};
}

/// Makes the address of the n-th /64.
client_identity line(u32 n)
{
    std::array<std::byte, 16> bytes{std::byte{0x20}, std::byte{0x01}};
    store_big(bytes.data() + 4, n);
    return {client_kind::address, ip_address::v6(bytes)};
}

constexpr time_point start{1h};

/// Lets threads go on together, as near as can be.
void wait_for_others(std::atomic<u32>& arrived, u32 all)
{
    ++arrived;
    for (int spins = 0; arrived < all; ++spins)
        if (spins > 1'000)
            std::this_thread::yield();
}

/// Takes places at times that the test sets.
struct book {
    explicit book(client_limits_options options) : table(options, seed) {}

    std::string take(const client_identity& client)
    {
        const auto answer = table.take(client, at);
        if (answer.entry == nullptr)
            return answer.refusal;
        places.push_back(answer.entry);
        return "taken";
    }
    void give_last()
    {
        table.give(*places.back(), at);
        places.pop_back();
    }

    client_table table;
    time_point at = start;
    std::vector<client_entry*> places;
};

}  // namespace

TEST_CASE("a client has so many places at once and no more", "[middleware]")
{
    book all{{.connections_per_client_max = 2}};
    const auto client = at_address("192.0.2.1");
    CHECK(all.take(client) == "taken");
    CHECK(all.take(client) == "taken");
    CHECK(all.take(client) == "client_connections");
    CHECK(all.take(at_address("192.0.2.2")) == "taken");
    all.give_last();
    all.give_last();
    CHECK(all.take(client) == "taken");
    CHECK(all.take(client) == "client_connections");
    CHECK(all.table.clients() == 1);
    all.give_last();
    all.give_last();
    CHECK(all.table.clients() == 0);
}

TEST_CASE("without a rate no client is too fast, whatever the clocks of threads say",
          "[middleware]")
{
    // A runtime's clock stands still for a turn: another one may be ahead of it.
    book all{{.connections_per_client_max = 3}};
    const auto client = at_address("192.0.2.1");
    CHECK(all.take(client) == "taken");
    all.at -= 1ms;
    CHECK(all.take(client) == "taken");
    all.at += 2ms;
    CHECK(all.take(client) == "taken");
}

TEST_CASE("a client is a network of the configured length, or a user", "[middleware]")
{
    struct row {
        std::string_view a, b;
        bool same;
    };
    const client_limits_options whole{.connections_per_client_max = 1};
    const client_limits_options coarse{
        .connections_per_client_max = 1, .ipv4_prefix = 24, .ipv6_prefix = 48};
    const auto check = [](const client_limits_options& options, const row& pair) {
        CAPTURE(pair.a, pair.b);
        book all{options};
        CHECK(all.take(at_address(pair.a)) == "taken");
        CHECK(all.take(at_address(pair.b)) == (pair.same ? "client_connections" : "taken"));
    };
    for (const row& pair :
         {row{"192.0.2.1", "192.0.2.1", true}, row{"192.0.2.1", "192.0.2.2", false},
          row{"192.0.2.1", "::ffff:192.0.2.1", true}, row{"192.0.2.1", "::c000:201", false},
          row{"2001:db8::1", "2001:db8::ffff:0:0:2", true},
          row{"2001:db8::1", "2001:db8:0:1::1", false}})
        check(whole, pair);
    for (const row& pair :
         {row{"192.0.2.1", "192.0.2.255", true}, row{"192.0.2.1", "192.0.3.1", false},
          row{"2001:db8::1", "2001:db8:0:ffff::1", true},
          row{"2001:db8::1", "2001:db8:1::1", false}})
        check(coarse, pair);

    book users{whole};
    CHECK(users.take({client_kind::user, {}, 1000}) == "taken");
    CHECK(users.take({client_kind::user, {}, 1001}) == "taken");
    CHECK(users.take({client_kind::user, {}, 1000}) == "client_connections");
    CHECK(users.take(at_address("0.0.3.232")) == "taken");
}

TEST_CASE("a client's rate is a burst and then so many a second", "[middleware]")
{
    book all{{.new_per_second_max = 4, .new_burst_max = 3}};
    const auto client = at_address("192.0.2.1");
    const auto try_once = [&] {
        const std::string answer = all.take(client);
        if (answer == "taken")
            all.give_last();
        return answer == "taken";
    };
    for (int i = 0; i < 3; ++i)
        CHECK(try_once());
    CHECK(all.take(client) == "client_rate");
    all.at += 249ms;
    CHECK_FALSE(try_once());
    all.at += 1ms;
    CHECK(try_once());
    CHECK_FALSE(try_once());
    // In ten seconds of trying every millisecond: the rate, no more and no less.
    int passed = 0;
    for (int i = 0; i < 10'000; ++i) {
        all.at += 1ms;
        passed += try_once() ? 1 : 0;
    }
    CHECK(passed == 40);
    all.at += 1h;
    for (int i = 0; i < 3; ++i)
        CHECK(try_once());
    CHECK_FALSE(try_once());
}

TEST_CASE("a connection that is refused does not count against the rate", "[middleware]")
{
    book all{{.connections_per_client_max = 1, .new_per_second_max = 2}};
    const auto client = at_address("192.0.2.1");
    CHECK(all.take(client) == "taken");
    for (int i = 0; i < 100; ++i)
        CHECK(all.take(client) == "client_connections");
    all.give_last();
    CHECK(all.take(client) == "taken");
}

TEST_CASE("a clock that another thread read earlier does no harm", "[middleware]")
{
    book all{
        {.connections_per_client_max = 1, .new_per_second_max = 1'000'000, .new_burst_max = 1}};
    CHECK(all.take(line(1)) == "taken");
    all.at -= 5ms;
    all.give_last();
    CHECK(all.take(line(1)) == "client_rate");
    all.at += 6ms;
    CHECK(all.take(line(1)) == "taken");
    all.at = time_point::min();  // no clock at all
    all.give_last();
    CHECK(all.table.clients() == 1);
}

TEST_CASE("who is away is forgotten once the rate is whole again", "[middleware]")
{
    book all{{.new_per_second_max = 1, .new_burst_max = 5}};
    constexpr u32 clients = 10'000;
    for (u32 i = 0; i < clients; ++i) {
        CHECK(all.take(line(i)) == "taken");
        all.give_last();
    }
    CHECK(all.table.clients() == clients);
    all.at += 10s;
    // Each that is new sweeps two: half as many empty the table but for the last.
    for (u32 i = 0; i < clients; ++i) {
        CHECK(all.take(line(clients + i)) == "taken");
        all.at += 1s;
        all.give_last();
    }
    CHECK(all.table.clients() < clients / 100);
}

TEST_CASE("the idle give way to new clients, the connected do not", "[middleware]")
{
    book all{{.new_per_second_max = 1, .clients_max = 10}};
    for (u32 i = 0; i < 10; ++i)
        CHECK(all.take(line(i)) == "taken");
    CHECK(all.table.clients() == 10);
    CHECK(all.take(line(10)) == "too_many_clients");
    CHECK(all.take(line(3)) == "client_rate");  // known ones are judged as ever
    all.at += 1s;
    CHECK(all.take(line(3)) == "taken");
    all.give_last();
    all.give_last();  // line 9 is away, its rate is spent: it is remembered
    CHECK(all.table.clients() == 9);
    CHECK(all.take(line(11)) == "taken");
    all.give_last();
    CHECK(all.table.clients() == 10);
    CHECK(all.take(line(11)) == "client_rate");
    CHECK(all.take(line(12)) == "taken");  // in the place of line 11
    CHECK(all.table.clients() == 10);
    CHECK(all.take(line(11)) == "too_many_clients");
    while (!all.places.empty())
        all.give_last();
}

TEST_CASE("no thread gets a place too many, and none is lost", "[middleware]")
{
    constexpr u32 clients = 5;
    constexpr u32 places = 3;
    constexpr int threads = 8;
    constexpr int rounds = 20'000;
    client_table table{{.connections_per_client_max = places, .clients_max = clients - 1}, seed};
    std::array<std::atomic<u32>, clients> held{};
    std::atomic<u32> too_many = 0;
    std::atomic<u32> taken = 0;
    const auto hammer = [&](u32 offset) {
        for (u32 i = 0; i < rounds; ++i) {
            const u32 who = (i * 7 + offset) % clients;
            const auto answer = table.take(line(who), start + nanoseconds{i});
            if (answer.entry == nullptr)
                continue;
            if (held[who].fetch_add(1) >= places || table.clients() > clients - 1)
                too_many.fetch_add(1);
            taken.fetch_add(1);
            if (i % 4 == 0)
                std::this_thread::yield();
            held[who].fetch_sub(1);
            table.give(*answer.entry, start + nanoseconds{i});
        }
    };
    std::vector<std::thread> all;
    for (u32 i = 0; i < threads; ++i)
        all.emplace_back(hammer, i);
    for (auto& each : all)
        each.join();
    CHECK(too_many == 0);
    CHECK(taken > rounds);
    // Nothing is left behind: each client has all of its places again.
    CHECK(table.clients() <= clients - 1);
    for (u32 who = 0; who < clients - 1; ++who) {
        for (u32 i = 0; i < places; ++i)
            CHECK(table.take(line(who), start + 1h).entry != nullptr);
        CHECK(table.take(line(who), start + 1h).refusal == std::string{"client_connections"});
    }
}

TEST_CASE("two threads that meet a new client at once remember it once", "[middleware]")
{
    client_table table{{}, seed};
    constexpr u32 rounds = 4'000;
    std::atomic<u32> arrived = 0;
    const auto run = [&] {
        for (u32 round = 0; round < rounds; ++round) {
            wait_for_others(arrived, 2 * (round + 1));
            table.give(*table.take(line(round), start).entry, start);
        }
    };
    std::thread other{run};
    run();
    other.join();
    CHECK(table.clients() == 0);
}

TEST_CASE("a counter lets in so many and no more, whatever the threads", "[middleware]")
{
    constexpr u32 threads = 3;
    internal::place_counter places{1};
    std::atomic<u32> arrived = 0;
    std::atomic<u32> inside = 0;
    std::atomic<u32> too_many = 0;
    std::vector<std::thread> all;
    for (u32 t = 0; t < threads; ++t)
        all.emplace_back([&] {
            wait_for_others(arrived, threads);
            // Long enough for threads that share one processor to meet in the middle.
            for (int i = 0; i < 5'000'000; ++i) {
                if (!places.take())
                    continue;
                if (inside.fetch_add(1) >= 1)
                    too_many.fetch_add(1);
                inside.fetch_sub(1);
                places.give();
            }
        });
    for (auto& each : all)
        each.join();
    CHECK(too_many == 0);
    CHECK(places.taken() == 0);
}

TEST_CASE("keys are spread, whatever they have in common", "[middleware]")
{
    const internal::client_hash hash{seed};
    std::array<int, 64> users{};
    std::array<int, 64> lines{};
    for (u32 i = 0; i < 64'000; ++i) {
        ++users[hash(internal::client_key{i, 0, 0, 0, 1}) >> 26];
        ++lines[hash(internal::client_key{0x20010db8, i << 8, 0, 0, 0}) >> 26];
    }
    for (const auto& counts : {users, lines})
        for (const int count : counts)
            CHECK((count > 500 && count < 1500));
}

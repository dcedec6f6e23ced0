#include <whence/net/outbox.hpp>

#include "support/run_here.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/coro/yield.hpp>

#include <catch2/catch_test_macros.hpp>

#include <stdexcept>
#include <string>
#include <vector>

using namespace whence;
using support::connect_pair;
using support::connected_pair;
using support::run_here;
using support::run_with_every_fault;
using support::settle;

namespace {

/// Holds a message of one byte repeated: what it is, and whether it is whole, shows on arrival.
std::string message(char of, std::size_t size)
{
    return std::string(size, of);
}

task<std::string> receive_all(connection& from)
{
    std::string all;
    while (auto part = co_await from.receive())
        all += part.text();
    co_return all;
}

/// Makes a write wait: fills what the kernel takes for a peer that does not read.
task<std::size_t> fill_up(outbox& out, std::size_t message_size)
{
    const std::string filler = message('.', message_size);
    std::size_t bytes = 0;
    for (;;) {
        out.try_push(filler);
        bytes += message_size;
        co_await settle();
        if (out.counters().writes != 0 && out.bytes() != 0)
            co_return bytes;
    }
}

/// Runs `body(outbox&, connected_pair&)` as a session on pair.server, which is then closed.
template <class Body>
task<> in_session(outbox_options options, Body body)
{
    auto pair = co_await connect_pair();
    auto session = [&](outbox& out) { return body(out, pair); };
    co_await with_outbox(pair.server, options, session);
}

struct ending {
    std::string what;
    bool was_cancelled = false;  // the body, in its receive()
};

/// Runs a session that only receives, while `attack(outbox&, connection& client)` runs in another
/// strand; tells how it ended.
template <class Attack>
task<ending> end_of_session(outbox_options options, Attack attack)
{
    auto pair = co_await connect_pair();
    ending seen;
    scope others;
    auto session = [&](outbox& out) -> task<> {
        others.spawn(attack(out, pair.client));
        try {
            co_await pair.server.receive();
        } catch (const cancelled&) {
            seen.was_cancelled = true;
            throw;
        }
    };
    try {
        co_await with_outbox(pair.server, options, session);
    } catch (const std::system_error& error) {
        seen.what = error.what();
    }
    co_await others.join();
    co_return seen;
}

}  // namespace

TEST_CASE("a hundred messages of several strands share one write", "[outbox]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        outbox_counters counted;
        auto session = [&counted](outbox& out) -> task<> {
            scope pushers;
            for (int strand = 0; strand < 10; ++strand)
                pushers.spawn([](outbox& to, int id) -> task<> {
                    for (int i = 0; i < 10; ++i)
                        CHECK(to.try_push(message(static_cast<char>('0' + id), 10)) ==
                              push_outcome::queued);
                    co_return;
                }(out, strand));
            co_await pushers.join();
            const bool sent = co_await out.flush();
            CHECK(sent);
            counted = out.counters();
        };
        co_await with_outbox(pair.server, {}, session);
        pair.server.close();
        const std::string all = co_await receive_all(pair.client);
        std::string expected;
        for (char digit = '0'; digit <= '9'; ++digit)
            expected += message(digit, 100);
        CHECK(all == expected);
        CHECK(counted.messages == 100);
        CHECK(counted.writes == 1);
        CHECK(counted.dropped == 0);
        CHECK(counted.bytes_high == 1000);
    });
}

TEST_CASE("what is pushed while a write is under way goes out in the next", "[outbox]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        outbox_counters counted;
        auto session = [&counted](outbox& out) -> task<> {
            out.try_push("one ");
            co_await yield{};  // the writer has begun
            out.try_push("two ");
            out.try_push("three");
            co_await out.flush();
            counted = out.counters();
        };
        co_await with_outbox(pair.server, {}, session);
        pair.server.close();
        const std::string all = co_await receive_all(pair.client);
        CHECK(all == "one two three");
        CHECK(counted.writes == 2);
    });
}

TEST_CASE("flush() ends when all that was pushed before it is written", "[outbox]")
{
    run_here([]() -> task<> {
        // More than the kernel takes for a peer that does not read.
        constexpr std::size_t large = 20'000'000;
        const auto session = [](outbox& out, connected_pair& pair) -> task<> {
            std::vector<std::byte> into(large);
            bool flushed = false;
            out.try_push(message('a', large));
            co_await settle();
            out.try_push(message('b', large));
            scope flusher;
            flusher.spawn([](outbox& from, bool& ended) -> task<> {
                ended = co_await from.flush();
            }(out, flushed));
            co_await pair.client.read_exact(into);
            co_await settle();
            CHECK(out.counters().writes == 2);
            CHECK_FALSE(flushed);
            co_await pair.client.read_exact(into);
            co_await flusher.join();
            CHECK(flushed);
        };
        co_await in_session({.bytes_max = 2 * large}, session);
    });
}

TEST_CASE("close() sends what was pushed, and takes nothing more", "[outbox]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        const std::string large(60'000, 'x');
        auto session = [&large](outbox& out) -> task<> {
            CHECK(out.try_push(large) == push_outcome::queued);
            out.close();
            CHECK(out.try_push("late") == push_outcome::closed);
            const push_outcome pushed = co_await out.push("later");
            CHECK(pushed == push_outcome::closed);
            CHECK_FALSE(out.error());
            const bool sent = co_await out.flush();
            CHECK(sent);
        };
        co_await with_outbox(pair.server, {}, session);
        pair.server.close();
        const std::string all = co_await receive_all(pair.client);
        CHECK(all == large);
    });
}

TEST_CASE("a message larger than all room is told apart from one that has to wait", "[outbox]")
{
    run_here([]() -> task<> {
        const auto session = [](outbox& out, connected_pair&) -> task<> {
            CHECK(out.try_push(message('x', 101)) == push_outcome::too_large);
            const push_outcome pushed = co_await out.push(message('x', 101));
            CHECK(pushed == push_outcome::too_large);
            CHECK(out.try_push(message('x', 100)) == push_outcome::queued);
            CHECK(out.try_push("") == push_outcome::queued);
            CHECK(out.try_push("y") == push_outcome::full);
        };
        co_await in_session({.bytes_max = 100, .when_full = outbox_policy::wait}, session);
    });
}

TEST_CASE("the number of messages is bounded, too", "[outbox]")
{
    run_here([]() -> task<> {
        const auto session = [](outbox& out, connected_pair&) -> task<> {
            for (int i = 0; i < 3; ++i)
                CHECK(out.try_push("x") == push_outcome::queued);
            CHECK(out.try_push("x") == push_outcome::full);
            co_return;
        };
        co_await in_session({.messages_max = 3, .when_full = outbox_policy::wait}, session);
    });
}

TEST_CASE("those that wait for room get it in their order, and nobody overtakes them", "[outbox]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        std::string order;
        auto session = [&](outbox& out) -> task<> {
            out.try_push(message('0', 90));
            scope pushers;
            for (const char id : {'1', '2', '3', '4'})
                pushers.spawn([](outbox& to, char of, std::string& woken) -> task<> {
                    // The second would fit sooner.
                    const std::string text = message(of, of == '2' ? 5 : 60);
                    const push_outcome pushed = co_await to.push(text);
                    CHECK(pushed == push_outcome::queued);
                    woken += of;
                }(out, id, order));
            pushers.spawn([](outbox& to) -> task<> {
                CHECK(to.try_push("5") == push_outcome::full);
                co_return;
            }(out));
            co_await pushers.join();
        };
        co_await with_outbox(pair.server, {.bytes_max = 100, .when_full = outbox_policy::wait},
                             session);
        pair.server.close();
        const std::string all = co_await receive_all(pair.client);
        CHECK(all == message('0', 90) + message('1', 60) + message('2', 5) + message('3', 60) +
                         message('4', 60));
        CHECK(order == "1234");
    });
}

TEST_CASE("one that waits for room is cancelled without having pushed", "[outbox]")
{
    run_here([]() -> task<> {
        const auto session = [](outbox& out, connected_pair& pair) -> task<> {
            std::size_t expected = co_await fill_up(out, 10'000);
            while (out.try_push(message('.', 10'000)) == push_outcome::queued)
                expected += 10'000;
            {
                const deadline soon{1ms};
                auto pushing = as_result(out.push(message('x', 10'000)));
                const result<push_outcome> pushed = co_await pushing;
                REQUIRE_FALSE(pushed);
                CHECK(pushed.error() == std::errc::operation_canceled);
                auto refused = as_result(out.push("x"));  // it is stopped already
                const result<push_outcome> again = co_await refused;
                CHECK_FALSE(again);
            }
            std::size_t received = 0;
            while (received < expected) {
                const chunk part = co_await pair.client.receive();
                CHECK(part.text().find('x') == std::string_view::npos);
                received += part.size();
            }
            const bool sent = co_await out.flush();
            CHECK(sent);
            CHECK(received == expected);
        };
        co_await in_session({.bytes_max = 100'000, .when_full = outbox_policy::wait}, session);
    });
}

TEST_CASE("drop_oldest keeps the newest messages, whole, and what is being sent", "[outbox]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        std::size_t filler = 0;
        outbox_counters counted;
        auto session = [&](outbox& out) -> task<> {
            filler = co_await fill_up(out, 50'000);
            // From here nothing goes: one filler waits, and goes first.
            CHECK(out.bytes() == 50'000);
            CHECK(out.try_push(message('a', 50'000)) == push_outcome::queued);
            CHECK(out.try_push(message('b', 1)) == push_outcome::queued_others_dropped);
            for (char of = 'c'; of <= 'z'; ++of)
                CHECK(out.try_push(message(of, 30'001)) <= push_outcome::queued_others_dropped);
            counted = out.counters();
            CHECK(out.bytes() == 3 * 30'001);
            scope reader;
            reader.spawn([](connection& from, std::size_t dots) -> task<> {
                std::string all;
                while (all.size() < dots + 3 * 30'001) {
                    const chunk part = co_await from.receive();
                    all += part.text();
                }
                CHECK(all.find_first_not_of('.') == dots);
                CHECK(all.substr(dots) ==
                      message('x', 30'001) + message('y', 30'001) + message('z', 30'001));
            }(pair.client, filler - 50'000));
            co_await reader.join();
        };
        co_await with_outbox(
            pair.server, {.bytes_max = 100'000, .when_full = outbox_policy::drop_oldest}, session);
        // The filler, a, b, and c to w.
        CHECK(counted.dropped == 3 + 21);
        CHECK(counted.bytes_high == 100'000);
    });
}

TEST_CASE("a reader that is too slow is disconnected, with the reason", "[outbox]")
{
    run_here([]() -> task<> {
        const auto attack = [](outbox& out, connection&) -> task<> {
            const std::string text = message('x', 50'000);
            push_outcome last = push_outcome::queued;
            while (last == push_outcome::queued) {
                last = out.try_push(text);
                if (last == push_outcome::full)
                    break;
                co_await settle();
            }
            CHECK(last == push_outcome::full);
            CHECK(out.try_push("x") == push_outcome::closed);
            CHECK(out.error() == std::errc::no_buffer_space);
        };
        const ending seen = co_await end_of_session({.bytes_max = 100'000}, attack);
        CHECK(seen.what == "outbox: the peer reads too slowly: No buffer space available");
        CHECK(seen.was_cancelled);
    });
}

TEST_CASE("a write that fails ends the session and is told to those that push", "[outbox]")
{
    run_here([]() -> task<> {
        const auto attack = [](outbox& out, connection& client) -> task<> {
            co_await fill_up(out, 50'000);
            while (out.try_push(message('x', 50'000)) == push_outcome::queued)
                continue;
            scope pusher;
            pusher.spawn([](outbox& to) -> task<> {
                const push_outcome pushed = co_await to.push(message('x', 50'000));
                CHECK(pushed == push_outcome::closed);
            }(out));
            pusher.spawn([](outbox& to) -> task<> {
                const bool sent = co_await to.flush();
                CHECK_FALSE(sent);
            }(out));
            co_await settle();
            client.abort();
            co_await pusher.join();
        };
        const ending seen = co_await end_of_session(
            {.bytes_max = 100'000, .when_full = outbox_policy::wait}, attack);
        // The kernel tells the reset once, to the receive or to the write; then the pipe is broken.
        const bool told = seen.what.ends_with("Connection reset by peer") ||
                          seen.what == "outbox: write: Broken pipe";
        CHECK(told);
    });
}

TEST_CASE("what a peer does not read is cut after the drain time", "[outbox]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        std::string what;
        auto session = [](outbox& out) -> task<> { co_await fill_up(out, 50'000); };
        try {
            co_await with_outbox(pair.server, {.drain_time_max = 5ms}, session);
        } catch (const std::system_error& error) {
            CHECK(error.code() == std::errc::timed_out);
            what = error.what();
        }
        CHECK(what == "outbox: the peer has not read the rest in time: Connection timed out");
        // Cut in its middle: the peer must not take it for the whole.
        pair.server.close();
        std::error_code end;
        while (!end) {
            auto receiving = as_result(pair.client.receive());
            const result<chunk> part = co_await receiving;
            if (!part)
                end = part.error();
            else
                REQUIRE(*part);
        }
        CHECK(end == std::errc::connection_reset);
    });
}

TEST_CASE("a body that throws ends the writer, and the queue with it", "[outbox]")
{
    run_here([]() -> task<> {
        std::string what;
        const auto session = [](outbox& out, connected_pair&) -> task<> {
            co_await fill_up(out, 50'000);
            throw std::runtime_error("the session's own");
        };
        try {
            co_await in_session({}, session);
        } catch (const std::runtime_error& error) {
            what = error.what();
        }
        CHECK(what == "the session's own");
    });
}

TEST_CASE("a session with an outbox is cancelled from outside", "[outbox]")
{
    run_here([]() -> task<> {
        bool stopped = false;
        const auto session = [](outbox& out, connected_pair& pair) -> task<> {
            co_await fill_up(out, 50'000);
            co_await pair.server.receive();
        };
        const deadline limit{5ms};
        try {
            co_await in_session({}, session);
        } catch (const cancelled&) {
            stopped = true;
        }
        CHECK(stopped);
    });
}

TEST_CASE("an outbox may go before those that waited in it have run on", "[outbox]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        scope others;
        push_outcome pushed = push_outcome::queued;
        bool sent = true;
        auto session = [&](outbox& out) -> task<> {
            co_await fill_up(out, 50'000);
            while (out.try_push(message('x', 50'000)) == push_outcome::queued)
                continue;
            others.spawn([](outbox& to, push_outcome& seen) -> task<> {
                seen = co_await to.push(message('x', 50'000));
            }(out, pushed));
            others.spawn(
                [](outbox& to, bool& seen) -> task<> { seen = co_await to.flush(); }(out, sent));
            co_await settle();
            throw std::runtime_error("gone");
        };
        try {
            co_await with_outbox(pair.server,
                                 {.bytes_max = 100'000, .when_full = outbox_policy::wait}, session);
        } catch (const std::runtime_error&) {
        }
        co_await others.join();
        CHECK(pushed == push_outcome::closed);
        CHECK_FALSE(sent);
    });
}

TEST_CASE("what several strands push survives a fault at every operation", "[outbox]")
{
    run_with_every_fault([]() -> task<> {
        const auto session = [](outbox& out, connected_pair& pair) -> task<> {
            scope pushers;
            for (int i = 0; i < 3; ++i)
                pushers.spawn([](outbox& to) -> task<> {
                    for (int k = 0; k < 3; ++k)
                        co_await to.push(message('x', 60));
                }(out));
            co_await pushers.join();
            out.close();
            std::size_t received = 0;
            while (received < 540) {
                const chunk part = co_await pair.client.receive();
                received += part.size();
            }
        };
        co_await in_session({.bytes_max = 100, .when_full = outbox_policy::wait}, session);
    });
}

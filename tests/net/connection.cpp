#include <whence/net/connection.hpp>

#include "support/aborts.hpp"
#include "support/permitted.hpp"
#include "support/run_here.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/coro/yield.hpp>
#include <whence/proxy_protocol/parse.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sys/mman.h>

#include <array>
#include <memory>
#include <string>

using namespace whence;
using support::abort_message_of;
using support::connect_pair;
using support::run_here;
using support::run_with_every_fault;

namespace {

/// Decodes a header literal for set_header().
proxy_protocol::header_view decode(std::string_view text)
{
    const auto parsed = proxy_protocol::parse(std::as_bytes(std::span{text}));
    REQUIRE(parsed.status == proxy_protocol::parse_status::complete);
    return parsed.header;
}

template <class Awaiter>
task<std::error_code> error_from(Awaiter awaiter)
{
    auto tried = as_result(std::move(awaiter));
    auto outcome = co_await tried;
    co_return outcome ? std::error_code{} : outcome.error();
}

/// Gives what is printed before a coroutine made by `misuse` aborts.
template <class Misuse>
std::string abort_message(Misuse misuse)
{
    return abort_message_of([&misuse] {
        runtime here{support::open_test_driver()};
        here.run(misuse());
    });
}

}  // namespace

TEST_CASE("bytes go both ways and a half-close is a clean end", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        co_await pair.client.write("ping");
        pair.client.shutdown();
        const chunk ping = co_await pair.server.receive();
        CHECK(ping.text() == "ping");
        const chunk end = co_await pair.server.receive();
        CHECK_FALSE(end);
        co_await pair.server.write("pong after the half-close");
        pair.server.close();
        const chunk pong = co_await pair.client.receive();
        CHECK(pong.text() == "pong after the half-close");
        const chunk other_end = co_await pair.client.receive();
        CHECK_FALSE(other_end);
    });
}

TEST_CASE("both ends know both addresses", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        CHECK(pair.client.local() == pair.server.peer());
        CHECK(pair.client.peer() == pair.server.local());
        CHECK(to_string(pair.server.local()).starts_with("127.0.0.1:"));
        CHECK(pair.server.client() == pair.server.peer());
        CHECK(pair.server.server() == pair.server.local());
        CHECK(pair.server.origin() == origin::direct);
        CHECK_FALSE(pair.server.header().has_value());
    });
}

TEST_CASE("an abort reaches the peer as a reset", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        pair.server.abort();
        CHECK_FALSE(pair.server.is_open());
        const std::error_code error = co_await error_from(pair.client.receive());
        CHECK(error == std::errc::connection_reset);
    });
}

TEST_CASE("peek shows bytes, consume drops them, receive gives the rest", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        co_await pair.client.write("head");
        const const_bytes first = co_await pair.server.peek(4);
        CHECK(first.size() == 4);
        co_await pair.client.write("er|body");
        const const_bytes more = co_await pair.server.peek(7);
        CHECK(more.size() >= 7);
        CHECK(static_cast<char>(more[6]) == '|');
        pair.server.consume(7);
        std::string rest;
        while (rest.size() < 4) {
            const chunk part = co_await pair.server.receive();
            rest += part.text();
        }
        CHECK(rest == "body");
        pair.client.shutdown();
        const const_bytes none = co_await pair.server.peek(1);
        CHECK(none.empty());
    });
}

TEST_CASE("read_some, read_exact and read_until take turns on one stream", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        co_await pair.client.write("first line\r\nsecond\r\n0123456789tail");
        const std::string first = co_await pair.server.read_until("\r\n", 100);
        CHECK(first == "first line\r\n");
        const std::string second = co_await pair.server.read_until("\r\n", 100);
        CHECK(second == "second\r\n");
        std::array<std::byte, 10> digits{};
        const bool whole = co_await pair.server.read_exact(digits);
        CHECK(whole);
        CHECK(static_cast<char>(digits[9]) == '9');
        std::array<std::byte, 2> part{};
        const std::size_t size = co_await pair.server.read_some(part);
        CHECK(size == 2);
        pair.client.close();
        const chunk tail = co_await pair.server.receive();
        CHECK(tail.text() == "il");
        const std::string end = co_await pair.server.read_until("\n", 10);
        CHECK(end.empty());
        const bool more = co_await pair.server.read_exact(digits);
        CHECK_FALSE(more);
    });
}

TEST_CASE("read_until finds a delimiter that arrives in pieces", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        scope writer;
        writer.spawn([](connection& to) -> task<> {
            for (const char byte : std::string_view{"one\rtwo\r\nthree"}) {
                co_await to.write(std::string_view{&byte, 1});
                co_await support::settle();
            }
        }(pair.client));
        const std::string line = co_await pair.server.read_until("\r\n", 100);
        CHECK(line == "one\rtwo\r\n");
        co_await writer.join();
    });
}

TEST_CASE("a line that is too long, or cut off, is an error", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        co_await pair.client.write("0123456789\n");
        std::error_code too_long;
        try {
            co_await pair.server.read_until("\n", 10);
        } catch (const std::system_error& error) {
            too_long = error.code();
        }
        CHECK(too_long == std::errc::message_size);
        const std::string exact = co_await pair.server.read_until("\n", 11);
        CHECK(exact == "0123456789\n");
        co_await pair.client.write("cut");
        pair.client.shutdown();
        std::error_code cut;
        try {
            co_await pair.server.read_until("\n", 10);
        } catch (const std::system_error& error) {
            cut = error.code();
        }
        CHECK(cut == std::errc::connection_aborted);
    });
}

TEST_CASE("a stream that ends within read_exact is an error", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        co_await pair.client.write("123");
        pair.client.shutdown();
        std::array<std::byte, 4> four{};
        std::error_code cut;
        try {
            co_await pair.server.read_exact(four);
        } catch (const std::system_error& error) {
            cut = error.code();
        }
        CHECK(cut == std::errc::connection_aborted);
    });
}

TEST_CASE("a cancelled write says so, and what was sent arrived in order", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        std::string sent(20'000'000, '\0');
        for (std::size_t i = 0; i < sent.size(); ++i)
            sent[i] = static_cast<char>(i % 251);
        {
            deadline limit{20ms};
            auto writing = as_result(pair.client.write(sent));
            const std::error_code error = co_await writing;
            CHECK(error == std::errc::operation_canceled);
            CHECK(support::permitted::after_cancelled_write(error, pair.client.bytes_sent(),
                                                            sent.size()));
            CHECK(limit.expired());
        }
        // A clean end would pass the part off as the whole.
        pair.client.close();
        std::size_t received = 0;
        bool in_order = true;
        for (;;) {
            auto receiving = as_result(pair.server.receive());
            const result<chunk> part = co_await receiving;
            if (!part) {
                CHECK(part.error() == std::errc::connection_reset);
                break;
            }
            REQUIRE(*part);
            for (const char byte : part->text())
                in_order = in_order && byte == static_cast<char>(received++ % 251);
        }
        CHECK(in_order);
        CHECK(received < sent.size());
    });
}

TEST_CASE("a write that fails in its middle does not count for the strand's next one", "[net]")
{
    run_here([]() -> task<> {
        auto doomed = co_await connect_pair();
        auto fine = co_await connect_pair();
        scope reader;
        reader.spawn([](connection& from) -> task<> {
            for (int i = 0; i < 10; ++i)
                co_await from.receive();
            from.abort();
        }(doomed.server));
        const std::string large(20'000'000, 'x');
        auto writing = as_result(doomed.client.write(large));
        const std::error_code error = co_await writing;
        CHECK(error);
        co_await reader.join();
        co_await fine.client.write("short");
        const chunk got = co_await fine.server.receive();
        CHECK(got.text() == "short");
    });
}

TEST_CASE("one strand reads while another writes", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        const std::string text(3'000'000, 'q');
        scope sides;
        for (connection* end : {&pair.client, &pair.server}) {
            sides.spawn([](connection& to, const std::string& all) -> task<> {
                co_await to.write(all);
                to.shutdown();
            }(*end, text));
            sides.spawn([](connection& from, std::size_t expected) -> task<> {
                std::size_t received = 0;
                while (auto part = co_await from.receive())
                    received += part.size();
                CHECK(received == expected);
            }(*end, text.size()));
        }
        co_await sides.join();
    });
}

TEST_CASE("a header sets client, server and origin, and the peer stays", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        const endpoint peer = pair.server.peer();
        pair.server.set_header(decode("PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\n"));
        CHECK(to_string(pair.server.client()) == "203.0.113.7:4242");
        CHECK(to_string(pair.server.server()) == "198.51.100.1:443");
        CHECK(pair.server.origin() == origin::proxied);
        CHECK(pair.server.peer() == peer);
        REQUIRE(pair.server.header().has_value());
        CHECK(pair.server.header()->version() == 1);
        connection moved{std::move(pair.server)};
        CHECK(to_string(moved.client()) == "203.0.113.7:4242");
    });
}

TEST_CASE("a header that names nobody leaves the real ends", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        pair.server.set_header(decode("PROXY UNKNOWN\r\n"));
        CHECK(pair.server.origin() == origin::unknown);
        CHECK(pair.server.client() == pair.server.peer());
        pair.client.set_header(
            decode({"\r\n\r\n\0\r\nQUIT\n\x20\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb", 28}));
        CHECK(pair.client.origin() == origin::local);
        CHECK(pair.client.client() == pair.client.peer());
        CHECK(pair.client.server() == pair.client.local());
    });
}

TEST_CASE("two readers at once are a programmer error that is named", "[net]")
{
    const std::string said = abort_message([]() -> task<> {
        auto pair = co_await connect_pair();
        scope readers;
        for (int i = 0; i < 2; ++i)
            readers.spawn([](connection& from) -> task<> { co_await from.receive(); }(pair.server));
        co_await readers.join();
    });
    CHECK(said.find("one strand reads from a connection at a time") != said.npos);
}

TEST_CASE("a reader that overtakes a fill is named, too", "[net]")
{
    const std::string said = abort_message([]() -> task<> {
        auto pair = co_await connect_pair();
        co_await pair.client.write("abc");
        co_await pair.server.fill();
        scope readers;
        readers.spawn([](connection& from) -> task<> { co_await from.fill(); }(pair.server));
        readers.spawn([](connection& from) -> task<> { co_await from.receive(); }(pair.server));
        co_await readers.join();
    });
    CHECK(said.find("one strand reads from a connection at a time") != said.npos);
}

TEST_CASE("more than one call can carry is refused, or taken in parts", "[net]")
{
    // Never touched, so never there.
    constexpr std::size_t four_gib = std::size_t{4} << 30;
    void* const memory = mmap(nullptr, four_gib + 1, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    const mutable_bytes room{static_cast<std::byte*>(memory), four_gib};

    const std::string said = abort_message([room]() -> task<> {
        auto pair = co_await connect_pair();
        co_await pair.client.write(const_bytes{room});
    });
    CHECK(said.find("a write has at most 1 GiB") != said.npos);

    run_here([room]() -> task<> {
        auto pair = co_await connect_pair();
        co_await pair.client.write("abc");
        const std::size_t got = co_await pair.server.read_some(room);
        CHECK(got == 3);
    });
    munmap(memory, four_gib + 1);
}

TEST_CASE("a connection that is used after its end is a programmer error", "[net]")
{
    const std::string said = abort_message([]() -> task<> {
        auto pair = co_await connect_pair();
        pair.server.close();
        co_await pair.server.write("too late");
    });
    CHECK(said.find("a closed connection is not used") != said.npos);
}

TEST_CASE("a guest leaves when its connection ends, whichever way", "[net]")
{
    struct named_guest final : connection_guest {
        named_guest(std::string& said_by_all, char own_name) : said(said_by_all), name(own_name) {}
        ~named_guest() override { said += name; }
        std::string& said;
        char name;
    };
    run_here([]() -> task<> {
        std::string gone;
        for (const auto end : {&connection::close, &connection::abort}) {
            gone.clear();
            auto pair = co_await connect_pair();
            pair.server.keep(std::make_unique<named_guest>(gone, 'a'));
            pair.server.keep(std::make_unique<named_guest>(gone, 'b'));
            connection moved{std::move(pair.server)};
            pair.server.close();  // the guests are no longer here
            CHECK(gone.empty());
            (moved.*end)();
            CHECK(gone == "ba");
            moved.keep(std::make_unique<named_guest>(gone, 'c'));
        }
        CHECK(gone == "bac");
        {
            auto pair = co_await connect_pair();
            pair.server.keep(std::make_unique<named_guest>(gone, 'd'));
        }
        CHECK(gone == "bacd");
    });
}

TEST_CASE("an exchange survives a fault at every operation", "[net]")
{
    run_with_every_fault([]() -> task<> {
        auto pair = co_await connect_pair();
        scope server;
        server.spawn([](connection conn) -> task<> {
            const std::string line = co_await conn.read_until("\n", 100);
            co_await conn.write(line);
            std::array<std::byte, 3> three{};
            co_await conn.read_exact(three);
            while (auto rest = co_await conn.receive())
                co_await conn.write(rest);
        }(std::move(pair.server)));
        std::exception_ptr failure;
        try {
            co_await pair.client.write("hello\n123 and the rest");
            pair.client.shutdown();
            while (auto part = co_await pair.client.receive())
                continue;
        } catch (...) {
            failure = std::current_exception();
        }
        pair.client.abort();
        server.stop();
        auto join = as_result(server.join());
        co_await join;
        if (failure)
            std::rethrow_exception(failure);
    });
}

TEST_CASE("bytes are counted in both directions, whatever call moves them", "[net]")
{
    run_here([]() -> task<> {
        auto pair = co_await connect_pair();
        co_await pair.client.write("receive");
        const chunk received = co_await pair.server.receive();
        co_await pair.client.write("read");
        std::array<std::byte, 10> room{};
        const std::size_t read = co_await pair.server.read_some(room);
        co_await pair.client.write("fill");
        const std::size_t filled = co_await pair.server.fill();
        const std::size_t buffered = co_await pair.server.read_some(room);
        CHECK(received.size() + read + filled == 15);
        CHECK(buffered == 4);  // counted when it came
        CHECK(pair.server.bytes_received() == 15);
        CHECK(pair.client.bytes_sent() == 15);
        CHECK(pair.server.bytes_sent() == 0);
        connection moved{std::move(pair.server)};
        CHECK(moved.bytes_received() == 15);
    });
}

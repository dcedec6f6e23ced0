#include <whence/middleware/accept_header.hpp>

#include "support/permitted.hpp"
#include "support/run_server.hpp"

#include <whence/base/text.hpp>
#include <whence/middleware/pipeline.hpp>

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <array>
#include <deque>
#include <string>

using namespace whence;
using proxy_protocol::accept;
using proxy_protocol::trust_outcome;
using proxy_protocol::trust_table;
using support::ask;
using support::connect_pair;
using support::run_here;
using support::with_server;

namespace {

/// Answers with origin and client, then echoes.
task<> tell(connection& conn)
{
    std::string answer{to_string(conn.origin())};
    if (conn.origin() == origin::proxied)
        answer += " " + to_string(conn.client());
    answer += "|";
    co_await conn.write(answer);
    while (auto got = co_await conn.receive())
        co_await conn.write(got);
}

auto app_trusting(std::string_view who, proxy_protocol::header_limits limits = {})
{
    return pipeline(accept({.trust = {who}, .header = limits}), tell);
}

template <class App>
std::string answer_to(std::string text, App app)
{
    std::string answer;
    run_here([&]() -> task<> {
        co_await with_server(std::move(app), [&](endpoint address) -> task<> {
            answer = co_await ask(address, text);
        });
    });
    return answer;
}

constexpr std::string_view v1 = "PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\n";
constexpr std::string_view v2{"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\xc6\x33\x64\x01"
                              "\x10\x92\x01\xbb",
                              28};
constexpr std::string_view v2_local{"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16};

}  // namespace

TEST_CASE("a trusted peer's header names the client; the payload stays", "[middleware]")
{
    CHECK(answer_to(std::string{v1} + "payload", app_trusting("127.0.0.1")) ==
          "proxied 203.0.113.7:4242|payload");
    CHECK(answer_to(std::string{v2} + "payload", app_trusting("127.0.0.0/8")) ==
          "proxied 203.0.113.7:4242|payload");
    CHECK(answer_to(std::string{v2_local} + "payload", app_trusting("127.0.0.1")) ==
          "local|payload");
    CHECK(answer_to("PROXY UNKNOWN\r\npayload", app_trusting("127.0.0.1")) == "unknown|payload");
}

TEST_CASE("a header that arrives byte by byte gives the same, whatever follows it", "[middleware]")
{
    run_here([]() -> task<> {
        co_await with_server(app_trusting("127.0.0.1"), [](endpoint address) -> task<> {
            for (const std::string_view header : {v1, v2}) {
                connection conn = co_await connect(address);
                const std::string all = std::string{header} + "payload";
                for (const char byte : all) {
                    co_await conn.write(std::string_view{&byte, 1});
                    co_await support::settle();
                }
                conn.shutdown();
                std::string answer;
                while (auto got = co_await conn.receive())
                    answer += got.text();
                CHECK(answer == "proxied 203.0.113.7:4242|payload");
            }
        });
    });
}

TEST_CASE("the deadline of a header runs from the accept", "[middleware]")
{
    run_here([]() -> task<> {
        auto pair = co_await support::connect_pair();
        co_await sleep_for(60ms);
        scope sender;
        sender.spawn([](connection& to) -> task<> {
            co_await sleep_for(5ms);
            co_await to.write(v1);
        }(pair.client));
        const proxy_protocol::trust_table trust{"127.0.0.1"};
        const verdict answer =
            co_await proxy_protocol::receive(pair.server, trust, {.time_max = 50ms});
        const bool passed = answer.passed();
        CHECK_FALSE(passed);
        if (!passed)
            CHECK(answer.reason() == "too_late");
        co_await sender.join();
    });
}

TEST_CASE("a header may take for ever when it is told so", "[middleware]")
{
    run_here([]() -> task<> {
        auto app = app_trusting("127.0.0.1", {.time_max = nanoseconds::max()});
        co_await with_server(std::move(app), [](endpoint address) -> task<> {
            connection conn = co_await connect(address);
            co_await sleep_for(5ms);  // a moment that overflowed would have passed by now
            const std::string header{v1};
            co_await conn.write(header);
            conn.shutdown();
            std::string answer;
            while (auto got = co_await conn.receive())
                answer += got.text();
            CHECK(answer == "proxied 203.0.113.7:4242|");
        });
    });
}

TEST_CASE("every split of header and payload gives the same", "[middleware]")
{
    run_here([]() -> task<> {
        co_await with_server(app_trusting("127.0.0.1"), [](endpoint address) -> task<> {
            for (const std::string_view header : {v1, v2}) {
                const std::string all = std::string{header} + "payload";
                for (std::size_t split = 1; split < all.size(); ++split) {
                    connection conn = co_await connect(address);
                    co_await conn.write(std::string_view{all}.substr(0, split));
                    co_await support::settle();
                    co_await conn.write(std::string_view{all}.substr(split));
                    conn.shutdown();
                    std::string answer;
                    while (auto got = co_await conn.receive())
                        answer += got.text();
                    CHECK(answer == "proxied 203.0.113.7:4242|payload");
                }
            }
        });
    });
}

TEST_CASE("a second header is payload", "[middleware]")
{
    const std::string second = "PROXY TCP4 192.0.2.99 192.0.2.98 1 2\r\n";
    CHECK(answer_to(std::string{v1} + second, app_trusting("127.0.0.1")) ==
          "proxied 203.0.113.7:4242|" + second);
    CHECK(answer_to(std::string{v2} + std::string{v2}, app_trusting("127.0.0.1")) ==
          "proxied 203.0.113.7:4242|" + std::string{v2});
}

TEST_CASE("an untrusted peer is refused before a byte is read", "[middleware]")
{
    CHECK(answer_to(std::string{v1}, app_trusting("10.0.0.5")) == "reset");
    CHECK(answer_to("", app_trusting("10.0.0.5")) == "reset");
}

TEST_CASE("served directly, not one byte is interpreted", "[middleware]")
{
    trust_table trust{"10.0.0.5"};
    trust.others(trust_outcome::direct);
    for (const std::string_view text : {v1, v2, std::string_view{"hello"}}) {
        auto app = pipeline(accept({.trust = trust}), tell);
        CHECK(answer_to(std::string{text}, std::move(app)) == "direct|" + std::string{text});
    }
}

TEST_CASE("what is no header is refused as soon as that is certain", "[middleware]")
{
    run_here([]() -> task<> {
        co_await with_server(app_trusting("127.0.0.1"), [](endpoint address) -> task<> {
            for (const std::string_view bad :
                 {std::string_view{"G"}, std::string_view{"PRI * HTTP/2.0"},
                  std::string_view{"\x16\x03\x01"}, std::string_view{"PROXY TCP5 "},
                  std::string_view{"\r\n\r\n\0\r\nQUIT\n\x31", 13}})
            {
                // No half-close: the refusal must not wait for more.
                connection conn = co_await connect(address);
                co_await conn.write(bad);
                auto receiving = as_result(conn.receive());
                const result<chunk> end = co_await receiving;
                REQUIRE_FALSE(end.has_value());
                CHECK(end.error() == std::errc::connection_reset);
            }
        });
    });
}

TEST_CASE("an announced size beyond the limit is refused at byte 16", "[middleware]")
{
    run_here([]() -> task<> {
        co_await with_server(
            app_trusting("127.0.0.1", {.size_max = 100}), [](endpoint address) -> task<> {
                connection conn = co_await connect(address);
                co_await conn.write(std::string_view{"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x65", 16});
                auto receiving = as_result(conn.receive());
                const result<chunk> end = co_await receiving;
                CHECK_FALSE(end.has_value());
            });
    });
}

TEST_CASE("silent and trickling peers are gone at the deadline", "[middleware]")
{
    run_here([]() -> task<> {
        co_await with_server(
            app_trusting("127.0.0.1", {.time_max = 100ms}), [](endpoint address) -> task<> {
                const time_point start = now();
                connection silent = co_await connect(address);
                connection trickling = co_await connect(address);
                scope trickle;
                trickle.spawn([](connection& to) -> task<> {
                    for (const char byte : v1) {
                        auto writing = as_result(to.write(std::string_view{&byte, 1}));
                        const std::error_code error = co_await writing;
                        if (error)
                            co_return;
                        co_await sleep_for(20ms);
                    }
                }(trickling));
                auto of_silent = as_result(silent.receive());
                const result<chunk> silenced = co_await of_silent;
                CHECK_FALSE(silenced.has_value());
                auto of_trickling = as_result(trickling.receive());
                const result<chunk> trickled = co_await of_trickling;
                CHECK(support::permitted::reader_after_reset_beside_writer(trickled));
                CHECK(now() - start >= 99ms);
                CHECK(now() - start < 5s);
                trickle.stop();
                co_await trickle.join();
            });
    });
}

TEST_CASE("a header larger than a pool buffer is read whole", "[middleware]")
{
    // v2, INET, one NOOP TLV of 9,000 bytes.
    std::string header{"\r\n\r\n\0\r\nQUIT\n\x21\x11", 14};
    const std::size_t length = 12 + 3 + 9000;
    header += static_cast<char>(length >> 8);
    header += static_cast<char>(length & 0xff);
    header += std::string{"\xcb\0\x71\x07\xc6\x33\x64\x01\x10\x92\x01\xbb", 12};
    header += '\x04';
    header += static_cast<char>(9000 >> 8);
    header += static_cast<char>(9000 & 0xff);
    header += std::string(9000, '\0');
    CHECK(answer_to(header + "payload", app_trusting("127.0.0.1", {.size_max = 20'000})) ==
          "proxied 203.0.113.7:4242|payload");
    CHECK(answer_to(header + "payload", app_trusting("127.0.0.1")) == "reset");
}

TEST_CASE("by hand, the header is received without a pipeline", "[middleware]")
{
    static const trust_table balancers{"127.0.0.1"};
    auto handler = [](connection& conn) -> task<> {
        auto asking = proxy_protocol::client_address(conn, balancers);
        const result<endpoint> client = co_await asking;
        if (!client)
            co_return;
        co_await conn.write(to_string(*client) + "|");
        while (auto got = co_await conn.receive())
            co_await conn.write(got);
    };
    CHECK(answer_to(std::string{v1} + "x", handler) == "203.0.113.7:4242|x");
    CHECK(answer_to("nonsense", handler) == "reset");
}

TEST_CASE("by hand, each refusal has its error", "[middleware]")
{
    run_here([]() -> task<> {
        const trust_table nobody{"10.0.0.5"};
        const trust_table us{"127.0.0.1"};
        struct row {
            std::string_view sent;
            const trust_table& trust;
            std::errc error;
        };
        const std::array<row, 4> rows{{{v1, nobody, std::errc::permission_denied},
                                       {"nonsense", us, std::errc::protocol_error},
                                       {"PROXY TCP4 ", us, std::errc::connection_aborted},
                                       {"", us, std::errc::connection_aborted}}};
        for (const row& each : rows) {
            auto pair = co_await connect_pair();
            co_await pair.client.write(each.sent);
            pair.client.shutdown();
            auto asking = proxy_protocol::client_address(pair.server, each.trust);
            const result<endpoint> client = co_await asking;
            REQUIRE_FALSE(client.has_value());
            CHECK(client.error() == each.error);
            CHECK_FALSE(pair.server.is_open());
        }
        auto pair = co_await connect_pair();
        auto asking = proxy_protocol::client_address(pair.server, us, {.time_max = 10ms});
        const result<endpoint> client = co_await asking;
        REQUIRE_FALSE(client.has_value());
        CHECK(client.error() == std::errc::timed_out);
    });
}

TEST_CASE("a peer on a UNIX socket is trusted by its user, never by a name", "[middleware][kernel]")
{
    for (const bool trusted : {true, false}) {
        run_here([trusted]() -> task<> {
            const u32 uid = geteuid() + (trusted ? 0 : 1);
            listener at = listener::bind("unix:@whence-trust-" + std::to_string(getpid()));
            connection client = co_await connect(at.local());
            connection server = co_await at.accept();
            const trust_table trust{"unix:uid=" + std::to_string(uid)};
            co_await client.write(v1);
            auto receiving = proxy_protocol::receive(server, trust);
            const verdict answer = co_await receiving;
            CHECK(answer.passed() == trusted);
            if (!trusted)
                CHECK(answer.reason() == "untrusted");
        });
    }
}

TEST_CASE("thousands of peers that sent one byte hold no buffer of the pool", "[middleware]")
{
    run_here([]() -> task<> {
        co_await with_server(app_trusting("127.0.0.1"), [](endpoint address) -> task<> {
            std::deque<connection> tricklers;
            for (int i = 0; i < 300; ++i) {
                tricklers.push_back(co_await connect(address));
                co_await tricklers.back().write("P");
            }
            co_await support::settle();
            buffer_pool& pool = runtime::current().io().buffers();
            CHECK(pool.available() == pool.count());
            const std::string good = co_await ask(address, std::string{v1});
            CHECK(good == "proxied 203.0.113.7:4242|");
        });
    });
}

TEST_CASE("the header gate survives a fault at every operation", "[middleware]")
{
    support::run_with_every_fault([]() -> task<> {
        co_await with_server(app_trusting("127.0.0.1", {.time_max = 200ms}),
                             [](endpoint address) -> task<> {
                                 deadline limit{1s};
                                 const std::string answer =
                                     co_await ask(address, std::string{v1} + "payload");
                                 // A fault may end the connection anywhere; it never makes another
                                 // client of it.
                                 const std::string_view right = "proxied 203.0.113.7:4242|payload";
                                 CHECK((answer == "reset" || right.starts_with(answer)));
                             },
                             {.drain_time_max = 10ms});
    });
}

TEST_CASE("what came instead of a header is named in the refusal", "[middleware]")
{
    struct row {
        std::string_view bytes;
        std::string_view detail;
    };
    const row rows[] = {
        {std::string_view{"\x16\x03\x01\x02\0\x01\0\x01\xfc", 9},
         "no_signature at byte 0; TLS ClientHello where a PROXY header was required"},
        {"POST / HTTP/1.1\r\n",
         "no_signature at byte 1; HTTP request where a PROXY header was required"},
        {"SSH-2.0-x\r\n", "no_signature at byte 0; SSH greeting where a PROXY header was required"},
        {"what", "no_signature at byte 0"},
        {"PROXY TCP9 1.2.3.4 1.2.3.4 1 1\r\n", "v1_protocol at byte 6"},
    };
    for (const row& one : rows) {
        run_here([&]() -> task<> {
            auto pair = co_await connect_pair();
            co_await pair.client.write(one.bytes);
            const trust_table trust{"127.0.0.1"};
            const verdict answer = co_await proxy_protocol::receive(pair.server, trust);
            CHECK(answer.reason() == "malformed");
            CHECK(answer.detail() == one.detail);
        });
    }
}

TEST_CASE("a claim of an address that no client has is vetoed", "[middleware]")
{
    struct row {
        std::string_view claim;
        std::string_view detail;
    };
    const row rows[] = {
        {"PROXY TCP4 127.0.0.9 198.51.100.1 4242 443\r\n",
         "client 127.0.0.9:4242: a loopback address"},
        {"PROXY TCP6 ::1 2001:db8::1 4242 443\r\n", "client [::1]:4242: a loopback address"},
        {"PROXY TCP6 ::ffff:127.0.0.9 2001:db8::1 4242 443\r\n",
         "client 127.0.0.9:4242: a loopback address"},
        {"PROXY TCP4 0.0.0.0 198.51.100.1 4242 443\r\n",
         "client 0.0.0.0:4242: the unspecified address"},
        {"PROXY TCP6 :: 2001:db8::1 4242 443\r\n", "client [::]:4242: the unspecified address"},
        {"PROXY TCP4 224.0.0.1 198.51.100.1 4242 443\r\n",
         "client 224.0.0.1:4242: a multicast address"},
        {"PROXY TCP6 ff02::1 2001:db8::1 4242 443\r\n",
         "client [ff02::1]:4242: a multicast address"},
        {v1, ""},
        {v2_local, ""},
        {"PROXY UNKNOWN\r\n", ""},
    };
    const accept gate{{.trust = {"127.0.0.1"}, .veto = proxy_protocol::refuse_local_claims}};
    for (const row& one : rows) {
        CAPTURE(one.claim);
        run_here([&]() -> task<> {
            auto pair = co_await connect_pair();
            co_await pair.client.write(one.claim);
            const verdict answer = co_await gate(pair.server);
            CHECK(answer.passed() == one.detail.empty());
            CHECK(answer.reason() == (one.detail.empty() ? "" : "vetoed"));
            CHECK(answer.detail() == one.detail);
            CHECK(pair.server.header().has_value() == answer.passed());
        });
    }
}

TEST_CASE("a claim of our own address is vetoed", "[middleware]")
{
    const auto parsed = proxy_protocol::parse(as_bytes(v1));
    REQUIRE(parsed.status == proxy_protocol::parse_status::complete);
    run_here([&]() -> task<> {
        connection ours{runtime::current().io(), -1, *endpoint::parse("192.0.2.1:1"),
                        *endpoint::parse("203.0.113.7:7000")};
        connection other{runtime::current().io(), -1, *endpoint::parse("192.0.2.1:1"),
                         *endpoint::parse("203.0.113.8:7000")};
        CHECK(proxy_protocol::refuse_local_claims(parsed.header, ours) ==
              std::string_view{"our own address"});
        CHECK(proxy_protocol::refuse_local_claims(parsed.header, other) == nullptr);
        co_return;
    });
}

TEST_CASE("a veto of one's own sees header and connection, also when nobody is named",
          "[middleware]")
{
    const auto only_version_2 = [](const proxy_protocol::header_view& header,
                                   const connection& conn) -> const char* {
        CHECK(conn.peer().address().is_loopback());
        CHECK_FALSE(conn.header().has_value());
        return header.version() == 2 ? nullptr : "version 1";
    };
    const accept gate{{.trust = {"127.0.0.1"}, .veto = only_version_2}};
    run_here([&]() -> task<> {
        auto pair = co_await connect_pair();
        co_await pair.client.write("PROXY UNKNOWN\r\n");
        const verdict refused = co_await gate(pair.server);
        CHECK(refused.detail() == "PROXY: version 1");
        auto second = co_await connect_pair();
        co_await second.client.write(v2);
        const verdict passed = co_await gate(second.server);
        CHECK(passed.passed());
    });
}

#include <whence/middleware/time_limits.hpp>

#include "support/run_server.hpp"

#include <whence/coro/scope.hpp>
#include <whence/middleware/pipeline.hpp>

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <optional>
#include <string>

using namespace whence;
using support::ask;
using support::echo;
using support::run_here;
using support::with_server;

namespace {

constexpr std::size_t more_than_sockets_hold = std::size_t{64} << 20;

/// Writes more than a peer takes that does not read.
task<> flood(connection& conn)
{
    const std::string much(more_than_sockets_hold, 'x');
    co_await conn.write(much);
}

/// Notes how the session ended, as a layer around it sees it.
struct note_end {
    std::string* end;

    template <class Next>
    task<> operator()(connection& conn, const Next& next) const
    {
        try {
            co_await next(conn);
            *end = "returned";
        } catch (const cancelled&) {
            *end = "cancelled";
            throw;
        } catch (const std::system_error& error) {
            *end = error.code() == std::errc::timed_out ? "timed_out" : "failed";
            end->append(" ").append(to_string(conn.ended_by()));
            throw;
        }
    }
};

/// Reads until the end without sending; tells how it came.
task<std::string> end_of(connection& conn)
{
    std::string got;
    for (;;) {
        auto receiving = as_result(conn.receive());
        const result<chunk> part = co_await receiving;
        if (!part)
            co_return got + (part.error() == std::errc::connection_reset ? "<reset>" : "<error>");
        if (!*part)
            co_return got + "<end>";
        got += part->text();
    }
}

}  // namespace

TEST_CASE("a session whose connection is silent for the time ends with a clean close",
          "[middleware]")
{
    std::string end;
    run_here([&]() -> task<> {
        auto app = pipeline(note_end{&end}, idle_time{80ms}, echo);
        co_await with_server(std::move(app), [](endpoint address) -> task<> {
            connection conn = co_await connect(address);
            co_await conn.write("x");
            const chunk echoed = co_await conn.receive();
            const time_point start = now();
            const std::string seen = co_await end_of(conn);
            CHECK(echoed.text() == "x");
            CHECK(seen == "<end>");
            CHECK(now() - start >= 79ms);
            CHECK(now() - start < 5s);
        });
    });
    CHECK(end == "timed_out idle");
}

TEST_CASE("bytes in either direction keep a session", "[middleware]")
{
    std::string end;
    const auto speak = [](connection& conn) -> task<> {
        for (int i = 0; i < 10; ++i) {
            co_await conn.write("x");
            co_await sleep_for(50ms);
        }
    };
    run_here([&]() -> task<> {
        auto app = pipeline(note_end{&end}, idle_time{400ms}, speak);
        co_await with_server(std::move(app), [](endpoint address) -> task<> {
            connection conn = co_await connect(address);
            const std::string seen = co_await end_of(conn);
            CHECK(seen == "xxxxxxxxxx<end>");
        });
    });
    CHECK(end == "returned");

    const auto listen = [](connection& conn) -> task<> {
        while (auto got = co_await conn.receive())
            static_cast<void>(got);
    };
    run_here([&]() -> task<> {
        auto app = pipeline(note_end{&end}, idle_time{400ms}, listen);
        co_await with_server(std::move(app), [](endpoint address) -> task<> {
            connection conn = co_await connect(address);
            for (int i = 0; i < 10; ++i) {
                co_await conn.write("x");
                co_await sleep_for(50ms);
            }
            conn.shutdown();
            const std::string seen = co_await end_of(conn);
            CHECK(seen == "<end>");
        });
    });
    CHECK(end == "returned");
}

TEST_CASE("a half-closed session that is silent ends, too", "[middleware]")
{
    std::string end;
    const auto wait = [](connection& conn) -> task<> {
        while (auto got = co_await conn.receive())
            static_cast<void>(got);
        co_await sleep_for(1h);
    };
    run_here([&]() -> task<> {
        auto app = pipeline(note_end{&end}, idle_time{40ms}, wait);
        co_await with_server(std::move(app), [](endpoint address) -> task<> {
            const std::string seen = co_await ask(address, "all");
            CHECK(seen.empty());
        });
    });
    CHECK(end == "timed_out idle");
}

TEST_CASE("a peer that stops reading ends the session with a reset, though it goes on sending",
          "[middleware]")
{
    // Two strands: reading does not count as progress of what is written.
    const auto both_ways = [](connection& conn) -> task<> {
        auto body = [&conn](scope& children) -> task<> {
            children.spawn([](connection& from) -> task<> {
                while (auto got = co_await from.receive())
                    static_cast<void>(got);
            }(conn));
            co_await flood(conn);
        };
        co_await in_scope(body);
    };
    std::string end;
    run_here([&]() -> task<> {
        auto app = pipeline(note_end{&end}, write_time{100ms}, both_ways);
        co_await with_server(std::move(app), [&end](endpoint address) -> task<> {
            connection conn = co_await connect(address);
            const time_point start = now();
            while (end.empty()) {
                auto writing = as_result(conn.write("x"));
                co_await writing;
                co_await sleep_for(10ms);
                REQUIRE(now() - start < 10s);
            }
            CHECK(now() - start >= 99ms);
            const std::string seen = co_await end_of(conn);
            CHECK(seen.ends_with("<reset>"));
        });
    });
    CHECK(end == "timed_out write_stalled");
}

TEST_CASE("a peer on a UNIX socket that stops reading ends the session as well",
          "[middleware][kernel]")
{
    const std::string path = "/tmp/whence-time-" + std::to_string(getpid());
    const endpoint at = endpoint::unix_path(path);
    run_here([&]() -> task<> {
        listener from = listener::bind(at);
        connection client = co_await connect(at);
        connection conn = co_await from.accept();
        const time_limits limits{{.write_time_max = 50ms}};
        bool timed_out = false;
        try {
            co_await limits(conn, flood);
        } catch (const std::system_error& error) {
            timed_out = error.code() == std::errc::timed_out;
        }
        CHECK(timed_out);
        CHECK(conn.ended_by() == end_cause::write_stalled);
    });
    unlink(path.c_str());
}

TEST_CASE("a peer on a UNIX socket that goes on reading is not cut", "[middleware][kernel]")
{
    const std::string path = "/tmp/whence-slow-" + std::to_string(getpid());
    const endpoint at = endpoint::unix_path(path);
    std::string end;
    run_here([&]() -> task<> {
        std::vector<listener> listeners;
        listeners.push_back(listener::bind(at));
        scope server;
        server.spawn(
            serve(std::move(listeners), pipeline(note_end{&end}, write_time{200ms}, flood)));
        connection conn = co_await connect(at);
        const time_point start = now();
        std::string room(1 << 20, '\0');
        std::size_t all = 0;
        for (std::size_t got = 1; got != 0; all += got) {
            got = co_await conn.read_some(std::as_writable_bytes(std::span{room}));
            // The socket is as full again at every look.
            if (now() - start < 1s)
                co_await sleep_for(25ms);
        }
        CHECK(all == more_than_sockets_hold);
        runtime::current().drain().set();
        co_await server.join();
    });
    CHECK(end == "returned");
}

TEST_CASE("a write that goes on slowly is neither idle nor stalled", "[middleware]")
{
    std::string end;
    run_here([&]() -> task<> {
        const time_limits limits{{.idle_time_max = 400ms, .write_time_max = 400ms}};
        auto app = pipeline(note_end{&end}, limits, flood);
        co_await with_server(std::move(app), [](endpoint address) -> task<> {
            connection conn = co_await connect(address);
            const time_point start = now();
            std::string room(2 << 20, '\0');
            std::size_t all = 0;
            for (std::size_t got = 1; got != 0; all += got) {
                got = co_await conn.read_some(std::as_writable_bytes(std::span{room}));
                // It is one write for more than twice the time: the rest is read behind that.
                if (now() - start < 1s)
                    co_await sleep_for(all < more_than_sockets_hold / 2 ? 20ms : 200ms);
            }
            CHECK(all == more_than_sockets_hold);
            CHECK(now() - start >= 1s);
        });
    });
    CHECK(end == "returned");
}

TEST_CASE("the handler may say farewell when its time is over", "[middleware]")
{
    std::string end;
    std::string refused_without_shield = "no";
    const auto polite = [&](connection& conn) -> task<> {
        bool over = false;
        try {
            co_await echo(conn);
        } catch (const cancelled&) {
            over = true;
        }
        if (!over)
            co_return;
        auto unprotected = as_result(conn.write("lost"));
        const std::error_code refusal = co_await unprotected;
        if (refusal == std::errc::operation_canceled)
            refused_without_shield = "yes";
        const shield protect{1s};
        co_await conn.write("goodbye");
    };
    run_here([&]() -> task<> {
        auto app = pipeline(note_end{&end}, idle_time{30ms}, polite);
        co_await with_server(std::move(app), [](endpoint address) -> task<> {
            connection conn = co_await connect(address);
            const std::string seen = co_await end_of(conn);
            // The refused write counts as one that was cut short: the end is a reset.
            CHECK(seen.starts_with("goodbye"));
        });
    });
    CHECK(refused_without_shield == "yes");
    CHECK(end == "returned");
}

TEST_CASE("a deadline of the handler's own does not take the limit's end for its own",
          "[middleware]")
{
    std::string inner;
    std::string end;
    const auto handler = [&inner](connection& conn) -> task<> {
        try {
            co_await with_deadline(1h, echo(conn));
        } catch (const cancelled&) {
            inner = "cancelled";
            throw;
        } catch (const std::system_error&) {
            inner = "timed_out";
            throw;
        }
    };
    run_here([&]() -> task<> {
        auto app = pipeline(note_end{&end}, idle_time{30ms}, handler);
        co_await with_server(std::move(app), [](endpoint address) -> task<> {
            connection conn = co_await connect(address);
            const std::string seen = co_await end_of(conn);
            CHECK(seen == "<end>");
        });
    });
    CHECK(inner == "cancelled");
    CHECK(end == "timed_out idle");
}

TEST_CASE("limits stand behind each other and twice; the first that is over ends the session",
          "[middleware]")
{
    struct row {
        nanoseconds outer;
        nanoseconds write;
        nanoseconds inner;
    };
    for (const row& times : {row{30ms, 1h, 1h}, row{1h, 1h, 30ms}, row{30ms, 30ms, 30ms}}) {
        std::string end;
        run_here([&]() -> task<> {
            auto app = pipeline(note_end{&end}, idle_time{times.outer}, write_time{times.write},
                                idle_time{times.inner}, echo);
            co_await with_server(std::move(app), [](endpoint address) -> task<> {
                connection conn = co_await connect(address);
                const std::string seen = co_await end_of(conn);
                CHECK(seen == "<end>");
            });
        });
        CHECK(end == "timed_out idle");
    }
}

TEST_CASE("behind an inner limit the strand waits as before", "[middleware]")
{
    run_here([]() -> task<> {
        auto pair = co_await support::connect_pair();
        const auto hold = [](connection&) -> task<> { co_await sleep_for(1h); };
        const idle_time inner{20ms};
        auto ended = as_result(inner(pair.server, hold));
        const std::error_code error = co_await ended;
        CHECK(error == std::errc::timed_out);
        co_await pair.client.write("x");
        const chunk got = co_await pair.server.receive();
        CHECK(got.text() == "x");
    });
}

TEST_CASE("no limit, and one without end, end nothing", "[middleware]")
{
    for (const nanoseconds time_max : {nanoseconds::zero(), nanoseconds::max()}) {
        std::string end;
        run_here([&]() -> task<> {
            auto app = pipeline(note_end{&end}, idle_time{time_max}, write_time{time_max}, echo);
            co_await with_server(std::move(app), [](endpoint address) -> task<> {
                connection conn = co_await connect(address);
                co_await sleep_for(20ms);
                co_await conn.write("x");
                conn.shutdown();
                const std::string seen = co_await end_of(conn);
                CHECK(seen == "x<end>");
            });
        });
        CHECK(end == "returned");
    }
}

TEST_CASE("once it has closed its connection, a handler takes its time", "[middleware]")
{
    std::string end;
    const auto tidy_up = [](connection& conn) -> task<> {
        conn.close();
        co_await sleep_for(60ms);
    };
    run_here([&]() -> task<> {
        auto app = pipeline(note_end{&end}, idle_time{20ms}, tidy_up);
        co_await with_server(std::move(app),
                             [](endpoint address) -> task<> { co_await ask(address, ""); },
                             {.drain_time_max = 5s});
    });
    CHECK(end == "returned");
}

TEST_CASE("a shut-down is no matter of idleness", "[middleware]")
{
    std::string end;
    run_here([&]() -> task<> {
        auto app = pipeline(note_end{&end}, idle_time{1h}, echo);
        std::optional<connection> client;
        co_await with_server(std::move(app),
                             [&client](endpoint address) -> task<> {
                                 connection conn = co_await connect(address);
                                 client.emplace(std::move(conn));
                                 co_await support::settle();
                             },
                             {.drain_time_max = 10ms});
    });
    CHECK(end == "cancelled");
}

TEST_CASE("a limited session survives a fault at every operation", "[middleware]")
{
    support::run_with_every_fault([]() -> task<> {
        auto pair = co_await support::connect_pair();
        const time_limits limits{{.idle_time_max = 30ms, .write_time_max = 30ms}};
        co_await pair.client.write("x");
        auto ended = as_result(limits(pair.server, echo));
        const std::error_code error = co_await ended;
        CHECK(error);
    });
}

#include <whence/asio_interop/use_whence.hpp>

#include "asio_interop/sockets.hpp"
#include "support/run_here.hpp"

#include <whence/asio_interop/hosted_runtime.hpp>
#include <whence/asio_interop/read_header.hpp>
#include <whence/asio_interop/spawn.hpp>
#include <whence/coro/yield.hpp>

#include <asio/post.hpp>
#include <asio/read_until.hpp>
#include <asio/steady_timer.hpp>

using namespace support;
using namespace whence;
using asio_interop::hosted_runtime;
using asio_interop::spawn;
using asio_interop::use_whence;

namespace {

/// Runs a task that is given an io_context and a pair of its sockets; nothing may be left behind.
template <class Body>
void run_hosted(Body body)
{
    const leak_check leaks;
    {
        asio::io_context io;
        hosted_runtime here{io};
        tcp_pair pair{io};
        bool ended = false;
        spawn(here, body(io, pair), [&](const std::exception_ptr& error) {
            rethrow(error);
            ended = true;
        });
        run_to_end(io);
        CHECK(ended);
    }
    leaks.nothing_left();
}

/// An operation whose completion carries what it is told to.
template <class Signature, class Token, class... Values>
auto complete_with(asio::io_context& io, Token&& token, Values... values)
{
    return asio::async_initiate<Token, Signature>(
        [&io](auto handler, Values... given) {
            asio::post(io, asio::append(std::move(handler), std::move(given)...));
        },
        token, std::move(values)...);
}

}  // namespace

TEST_CASE("a task awaits Asio's reads and writes", "[asio_interop]")
{
    run_hosted([](asio::io_context&, tcp_pair& pair) -> task<> {
        for (int i = 0; i < 100; ++i) {
            const std::string said = "hello " + std::to_string(i) + '\n';
            const std::size_t sent =
                co_await asio::async_write(pair.client, asio::buffer(said), use_whence());
            CHECK(sent == said.size());
            std::string heard;
            const std::size_t got = co_await asio::async_read_until(
                pair.server, asio::dynamic_buffer(heard), '\n', use_whence());
            CHECK(got == said.size());
            CHECK(heard == said);
        }
    });
}

TEST_CASE("a task goes on in its runtime, not in Asio's handler", "[asio_interop]")
{
    run_hosted([](asio::io_context& io, tcp_pair&) -> task<> {
        runtime& here = runtime::current();
        strand* const self = whence::internal::ctx.current;
        // Asio would call this one's handler inside the call.
        co_await asio::dispatch(io, use_whence());
        CHECK(&runtime::current() == &here);
        CHECK(whence::internal::ctx.current == self);
        co_await asio::post(io, use_whence());
        CHECK(&runtime::current() == &here);
        CHECK(whence::internal::ctx.current == self);
    });
    CHECK(whence::internal::ctx.running == nullptr);
}

TEST_CASE("an operation's values are what the await gives", "[asio_interop]")
{
    run_hosted([](asio::io_context& io, tcp_pair&) -> task<> {
        co_await complete_with<void()>(io, use_whence());
        co_await complete_with<void(std::error_code)>(io, use_whence(), std::error_code{});
        const int one = co_await complete_with<void(int)>(io, use_whence(), 1);
        CHECK(one == 1);
        const std::string text = co_await complete_with<void(std::error_code, std::string)>(
            io, use_whence(), std::error_code{}, std::string{"text"});
        CHECK(text == "text");
        const std::tuple<int, std::string> both =
            co_await complete_with<void(std::error_code, int, std::string)>(
                io, use_whence(), std::error_code{}, 2, std::string{"two"});
        CHECK(std::get<0>(both) == 2);
        CHECK(std::get<1>(both) == "two");
        auto only_movable = complete_with<void(std::exception_ptr, std::unique_ptr<int>)>(
            io, use_whence(), std::exception_ptr{}, std::make_unique<int>(3));
        const std::unique_ptr<int> moved = co_await only_movable;
        CHECK(*moved == 3);
    });
}

TEST_CASE("an operation's error is thrown, or a result", "[asio_interop]")
{
    run_hosted([](asio::io_context& io, tcp_pair& pair) -> task<> {
        const std::error_code refused = asio::error::connection_refused;
        std::error_code thrown;
        try {
            co_await complete_with<void(std::error_code)>(io, use_whence(), refused);
        } catch (const std::system_error& error) {
            thrown = error.code();
        }
        CHECK(thrown == refused);

        auto failing = as_result(complete_with<void(std::error_code)>(io, use_whence(), refused));
        const std::error_code code = co_await failing;
        CHECK(code == refused);

        pair.client.close();
        char byte = '\0';
        auto reading = as_result(pair.server.async_read_some(asio::buffer(&byte, 1), use_whence()));
        const result<std::size_t> ended = co_await reading;
        REQUIRE_FALSE(ended);
        CHECK(ended.error() == asio::error::eof);

        auto succeeding = as_result(
            complete_with<void(std::error_code, int)>(io, use_whence(), std::error_code{}, 7));
        const result<int> seven = co_await succeeding;
        CHECK(seven.value() == 7);
    });
}

TEST_CASE("an Asio coroutine is awaited, and its exception comes through", "[asio_interop]")
{
    run_hosted([](asio::io_context& io, tcp_pair&) -> task<> {
        const auto work = [](int number) -> asio::awaitable<int> {
            co_await asio::post(asio::use_awaitable);
            if (number < 0)
                throw std::invalid_argument("negative");
            co_return number * 2;
        };
        const int doubled = co_await asio::co_spawn(io, work(21), use_whence());
        CHECK(doubled == 42);
        std::string what;
        try {
            co_await asio::co_spawn(io, work(-1), use_whence());
        } catch (const std::invalid_argument& error) {
            what = error.what();
        }
        CHECK(what == "negative");
    });
}

TEST_CASE("a deadline cancels Asio's operation and waits for its end", "[asio_interop]")
{
    run_hosted([](asio::io_context&, tcp_pair& pair) -> task<> {
        const auto read = [](tcp::socket& from) -> task<std::size_t> {
            std::string all(10, '\0');
            co_return co_await asio::async_read(from, asio::buffer(all), use_whence());
        };
        send(pair.client, "half");
        std::error_code error;
        try {
            co_await with_deadline(20ms, read(pair.server));
        } catch (const std::system_error& thrown) {
            error = thrown.code();
        }
        CHECK(error == std::errc::timed_out);
        // The socket is whole: only that read was ended.
        send(pair.client, "more bytes");
        const std::size_t got = co_await read(pair.server);
        CHECK(got == 10);
    });
}

TEST_CASE("a stopped task starts no operation, and one that won keeps its result", "[asio_interop]")
{
    run_hosted([](asio::io_context& io, tcp_pair& pair) -> task<> {
        deadline stopped{nanoseconds::max()};
        bool started = false;
        const auto start = [&started](auto token) {
            return asio::async_initiate<use_whence, void(std::error_code)>(
                [&started](auto) { started = true; }, token);
        };
        // This one has completed when the stop comes, before the strand's turn.
        send(pair.client, "x");
        asio::post(io, [&stopped] { stopped.stop(); });
        char byte = '\0';
        auto reading = as_result(pair.server.async_read_some(asio::buffer(&byte, 1), use_whence()));
        const result<std::size_t> got = co_await reading;
        CHECK((got || got.error() == std::errc::operation_canceled));
        while (!stopped.stopped()) {
            auto turning = as_result(asio::post(io, use_whence()));
            const std::error_code turned = co_await turning;
            CHECK_FALSE(turned);
        }
        bool was_cancelled = false;
        try {
            co_await start(use_whence());
        } catch (const cancelled&) {
            was_cancelled = true;
        }
        CHECK(was_cancelled);
        CHECK_FALSE(started);
        auto as_code = as_result(start(use_whence()));
        const std::error_code code = co_await as_code;
        CHECK(code == std::errc::operation_canceled);
    });
}

TEST_CASE("an aborted operation of a task that goes on is an error, no cancellation",
          "[asio_interop]")
{
    run_hosted([](asio::io_context& io, tcp_pair& pair) -> task<> {
        asio::post(io, [&pair] { pair.server.close(); });
        char byte = '\0';
        std::error_code error;
        try {
            co_await pair.server.async_read_some(asio::buffer(&byte, 1), use_whence());
        } catch (const std::system_error& thrown) {
            error = thrown.code();
        }
        CHECK(error == asio::error::operation_aborted);
    });
}

TEST_CASE("an operation that cannot be started, or is forgotten, ends the wait", "[asio_interop]")
{
    run_hosted([](asio::io_context&, tcp_pair&) -> task<> {
        const auto fail = [](auto token) {
            return asio::async_initiate<use_whence, void(std::error_code)>(
                [](auto) { throw std::runtime_error("not today"); }, token);
        };
        std::string what;
        try {
            co_await fail(use_whence());
        } catch (const std::exception& error) {
            what = error.what();
        }
        CHECK(what == "not today");
        const auto forget = [](auto token) {
            return asio::async_initiate<use_whence, void(std::error_code)>([](auto) {}, token);
        };
        auto forgetting = as_result(forget(use_whence()));
        const std::error_code code = co_await forgetting;
        CHECK(code == asio::error::operation_aborted);
    });
}

TEST_CASE("a dump tells where a task awaits Asio", "[asio_interop]")
{
    asio::io_context io;
    asio::steady_timer timer{io, std::chrono::hours{1}};
    hosted_runtime here{io};
    spawn(
        here,
        [](asio::steady_timer& awaited) -> task<> {
            co_await awaited.async_wait(use_whence());
        }(timer),
        [](const std::exception_ptr&) {});
    io.poll();
    const std::string dump = here.get().dump_tasks();
    CHECK(dump.find("tests/asio_interop/use_whence.cpp:") != dump.npos);
}

TEST_CASE("a task reads a PROXY header from Asio's socket", "[asio_interop]")
{
    run_hosted([](asio::io_context&, tcp_pair& pair) -> task<> {
        send(pair.client, "PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\nrest");
        const asio_interop::header_options options{.trust = {"127.0.0.1"}};
        auto reading = asio_interop::async_read_header(pair.server, options, use_whence());
        const asio_interop::received_header header = co_await reading;
        CHECK(to_string(header.client()) == "203.0.113.7:4242");
        CHECK(header.rest() == "rest");
    });
}

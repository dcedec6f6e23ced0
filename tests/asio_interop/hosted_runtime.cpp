#include <whence/asio_interop/hosted_runtime.hpp>

#include "asio_interop/sockets.hpp"
#include "support/captured.hpp"
#include "support/run_here.hpp"

#include <whence/asio_interop/endpoint.hpp>
#include <whence/asio_interop/spawn.hpp>
#include <whence/asio_interop/use_whence.hpp>
#include <whence/coro/deadline.hpp>
#include <whence/net/serve.hpp>
#include <whence/runtime/offload.hpp>

#include <asio/detached.hpp>
#include <asio/steady_timer.hpp>

#include <catch2/matchers/catch_matchers.hpp>

using namespace support;
using namespace whence;
using asio_interop::hosted_runtime;
using asio_interop::spawn;

namespace {

task<> sleep_and_note(nanoseconds time, bool& woke)
{
    co_await sleep_for(time);
    woke = true;
}

task<> echo(connection& conn)
{
    while (auto chunk = co_await conn.receive())
        co_await conn.write(chunk);
}

/// Is a driver that no foreign loop can await.
class deaf_driver final : public driver {
public:
    void submit(operation& op) noexcept override { below_->submit(op); }
    void cancel(operation& op) noexcept override { below_->cancel(op); }
    void close(int fd) noexcept override { below_->close(fd); }
    void abort(int fd) noexcept override { below_->abort(fd); }
    void shutdown_write(int fd) noexcept override { below_->shutdown_write(fd); }
    void wait(nanoseconds at_most) noexcept override { below_->wait(at_most); }
    void wake() noexcept override { below_->wake(); }
    time_point now() noexcept override { return below_->now(); }
    nanoseconds wall_now() noexcept override { return below_->wall_now(); }
    buffer_pool& buffers() noexcept override { return below_->buffers(); }
    const driver_metrics& metrics() const noexcept override { return below_->metrics(); }

private:
    std::unique_ptr<driver> below_ = open_uring_driver();
};

asio::awaitable<void> talk(tcp::endpoint to, int messages)
{
    tcp::socket socket{co_await asio::this_coro::executor};
    co_await socket.async_connect(to, asio::use_awaitable);
    for (int i = 0; i < messages; ++i) {
        const std::string said = "message " + std::to_string(i);
        co_await asio::async_write(socket, asio::buffer(said), asio::use_awaitable);
        std::string heard(said.size(), '\0');
        co_await asio::async_read(socket, asio::buffer(heard), asio::use_awaitable);
        CHECK(heard == said);
    }
}

}  // namespace

TEST_CASE("whence serves inside an io_context, beside Asio's own work", "[asio_interop]")
{
    const leak_check leaks;
    {
        asio::io_context io;
        hosted_runtime here{io};
        listener at = listener::bind("127.0.0.1:0");
        const tcp::endpoint to = asio_interop::to_ip_endpoint(at.local());
        std::vector<listener> listeners;
        listeners.push_back(std::move(at));
        bool served = false;
        spawn(here, serve(std::move(listeners), &echo), [&](const std::exception_ptr& error) {
            rethrow(error);
            served = true;
        });
        int talking = 20;
        for (int i = 0; i < 20; ++i) {
            asio::co_spawn(io, talk(to, 50), [&](const std::exception_ptr& error) {
                rethrow(error);
                if (--talking == 0)
                    here.drain();
            });
        }
        run_to_end(io);
        CHECK(talking == 0);
        CHECK(served);
        CHECK(here.ended());
        leaks.pool_is_whole(here.get().io().buffers());
    }
    leaks.nothing_left();
}

TEST_CASE("a runtime without tasks does not keep its io_context running", "[asio_interop]")
{
    asio::io_context io;
    hosted_runtime here{io};
    CHECK(io.run() == 0);
    bool woke = false;
    spawn(here, sleep_and_note(0ms, woke), rethrow);
    run_to_end(io);
    CHECK(woke);
    // And again, after it has rested.
    woke = false;
    spawn(here, sleep_and_note(20ms, woke), rethrow);
    run_to_end(io);
    CHECK(woke);
}

TEST_CASE("time passes in a hosted runtime as on the wall", "[asio_interop]")
{
    asio::io_context io;
    hosted_runtime here{io};
    bool late = false;
    bool early = false;
    spawn(here, sleep_and_note(60ms, late), rethrow);
    // A timer that is due sooner than the one that is set already.
    spawn(here, sleep_and_note(20ms, early), rethrow);
    const auto start = std::chrono::steady_clock::now();
    while (!early)
        io.run_one_for(20s);
    CHECK(std::chrono::steady_clock::now() - start >= 20ms);
    CHECK_FALSE(late);
    run_to_end(io);
    CHECK(late);
    CHECK(std::chrono::steady_clock::now() - start >= 60ms);
}

TEST_CASE("a sleep begins when its task runs, not when it was spawned", "[asio_interop]")
{
    asio::io_context io;
    hosted_runtime here{io};
    bool first = false;
    spawn(here, sleep_and_note(1ms, first), rethrow);
    run_to_end(io);
    // The runtime's clock has not been read since.
    const auto later_on = std::chrono::steady_clock::now() + 50ms;
    while (std::chrono::steady_clock::now() < later_on) {
    }
    bool second = false;
    spawn(here, sleep_and_note(30ms, second), rethrow);
    const auto start = std::chrono::steady_clock::now();
    run_to_end(io);
    CHECK(second);
    CHECK(std::chrono::steady_clock::now() - start >= 30ms);
}

TEST_CASE("a hosted runtime that waits does not turn", "[asio_interop]")
{
    asio::io_context io;
    hosted_runtime here{io};
    bool woke = false;
    spawn(here, sleep_and_note(200ms, woke), rethrow);
    std::size_t handlers = 0;
    while (!woke)
        handlers += io.run_one_for(20s);
    CHECK(handlers < 20);
}

TEST_CASE("a hosted runtime hears of other threads", "[asio_interop]")
{
    asio::io_context io;
    hosted_runtime here{io};
    int sum = 0;
    spawn(
        here,
        [](int& total) -> task<> {
            for (int i = 0; i < 100; ++i) {
                auto work = [i] { return i; };
                total += co_await offload(work);
            }
        }(sum),
        rethrow);
    run_to_end(io);
    CHECK(sum == 4950);
}

TEST_CASE("stop() ends the tasks of a hosted runtime, also of those that come later",
          "[asio_interop]")
{
    asio::io_context io;
    hosted_runtime here{io};
    bool woke = false;
    std::vector<std::error_code> ends;
    const auto note = [&](const std::exception_ptr& error) {
        try {
            rethrow(error);
        } catch (const std::system_error& known) {
            ends.push_back(known.code());
        }
    };
    spawn(here, sleep_and_note(1h, woke), note);
    io.poll();
    here.stop();
    run_to_end(io);
    spawn(here, sleep_and_note(1h, woke), note);
    run_to_end(io);
    CHECK_FALSE(woke);
    const std::error_code aborted = asio::error::operation_aborted;
    CHECK(ends == std::vector{aborted, aborted});
}

TEST_CASE("a hosted runtime that goes stops its tasks and waits for them", "[asio_interop]")
{
    const leak_check leaks;
    {
        asio::io_context io;
        tcp_pair pair{io};
        int unwound = 0;
        {
            hosted_runtime here{io};
            const auto wait_long = [](int& ended) -> task<> {
                try {
                    co_await sleep_for(1h);
                } catch (const cancelled&) {
                    ++ended;
                    throw;
                }
            };
            const auto wait_for_asio = [](tcp::socket& from, int& ended) -> task<> {
                char byte = '\0';
                try {
                    co_await from.async_read_some(asio::buffer(&byte, 1),
                                                  asio_interop::use_whence());
                } catch (const cancelled&) {
                    ++ended;
                    throw;
                }
            };
            spawn(here, wait_long(unwound), asio::detached);
            spawn(here, wait_for_asio(pair.server, unwound), asio::detached);
            io.poll();
            io.stop();
            CHECK(unwound == 0);
            // One that has not begun when all ends.
            spawn(here, wait_long(unwound), asio::detached);
        }
        CHECK(unwound == 3);
        run_to_end(io);  // the handlers of the spawns
    }
    leaks.nothing_left();
}

TEST_CASE("what a task leaves in the root and fails comes out of io_context::run()",
          "[asio_interop]")
{
    asio::io_context io;
    hosted_runtime here{io};
    spawn(
        here,
        []() -> task<> {
            runtime::current().root().spawn([]() -> task<> {
                co_await sleep_for(1ms);
                throw std::runtime_error("left behind");
            }());
            co_return;
        }(),
        rethrow);
    CHECK_THROWS_WITH(io.run_for(20s), "left behind");
}

TEST_CASE("what fails while a hosted runtime goes does not escape its destructor", "[asio_interop]")
{
    asio::io_context io;
    bool failed = false;
    const captured told{STDERR_FILENO};
    {
        hosted_runtime here{io};
        spawn(
            here,
            [](bool& note) -> task<> {
                runtime::current().root().spawn([](bool& stopped) -> task<> {
                    auto sleeping = as_result(sleep_for(1h));
                    const std::error_code woken = co_await sleeping;
                    stopped = woken == std::errc::operation_canceled;
                    throw std::runtime_error("on the way out");
                }(note));
                co_return;
            }(failed),
            rethrow);
        io.poll();
    }
    CHECK(failed);
    const auto events = told.events();
    REQUIRE(events.size() == 1);
    CHECK(events[0].at("error") == "on the way out");
}

TEST_CASE("an io_context that is stopped meanwhile does not keep a hosted runtime from its end",
          "[asio_interop]")
{
    asio::io_context io;
    asio::steady_timer stops{io, 20ms};
    stops.async_wait([&io](const std::error_code&) { io.stop(); });
    bool left = false;
    {
        hosted_runtime here{io};
        spawn(
            here,
            [](bool& over) -> task<> {
                auto napping = as_result(sleep_for(1h));
                const std::error_code woken = co_await napping;
                const shield protect{1s};
                co_await sleep_for(60ms);
                over = woken == std::errc::operation_canceled;
            }(left),
            asio::detached);
        io.run_for(10ms);
    }
    CHECK(left);
}

TEST_CASE("a driver without a descriptor cannot be hosted", "[asio_interop]")
{
    asio::io_context io;
    CHECK_THROWS_AS(hosted_runtime(io, std::make_unique<deaf_driver>()), driver_unavailable);
}

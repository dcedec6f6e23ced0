#include <whence/asio_interop/spawn.hpp>

#include "asio_interop/sockets.hpp"
#include "support/run_here.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/detached.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_future.hpp>

#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

using namespace support;
using namespace whence;
using asio_interop::hosted_runtime;
using asio_interop::spawn;

namespace {

task<std::string> say(std::string text)
{
    co_await sleep_for(1ms);
    co_return text;
}

task<> fail()
{
    co_await sleep_for(1ms);
    throw std::runtime_error("it failed");
}

task<> wait_for_ever(bool& unwound)
{
    try {
        co_await sleep_for(1h);
    } catch (const cancelled&) {
        unwound = true;
        throw;
    }
}

}  // namespace

TEST_CASE("an Asio coroutine awaits a whence task", "[asio_interop]")
{
    const leak_check leaks;
    {
        asio::io_context io;
        hosted_runtime here{io};
        run_to_end(io, [](hosted_runtime& whence) -> asio::awaitable<void> {
            const std::string said = co_await spawn(whence, say("hello"), asio::use_awaitable);
            CHECK(said == "hello");
            // The coroutine is Asio's again, outside of the runtime.
            CHECK(whence::internal::ctx.running == nullptr);
            std::string what;
            try {
                co_await spawn(whence, fail(), asio::use_awaitable);
            } catch (const std::runtime_error& error) {
                what = error.what();
            }
            CHECK(what == "it failed");
        }(here));
    }
    leaks.nothing_left();
}

TEST_CASE("a spawned task completes for any token", "[asio_interop]")
{
    asio::io_context io;
    hosted_runtime here{io};
    auto future = spawn(here, say("later"), asio::use_future);
    auto failing = spawn(here, fail(), asio::use_future);
    std::string called_with;
    spawn(here, say("callback"), [&](const std::exception_ptr& error, std::string said) {
        rethrow(error);
        called_with = std::move(said);
    });
    spawn(here, fail(), asio::detached);
    run_to_end(io);
    CHECK(future.get() == "later");
    CHECK_THROWS_WITH(failing.get(), "it failed");
    CHECK(called_with == "callback");
}

TEST_CASE("cancelling a spawned task stops it, and completes when it has ended", "[asio_interop]")
{
    asio::io_context io;
    hosted_runtime here{io};
    bool unwound = false;
    std::error_code got;
    asio::cancellation_signal stop;
    spawn(here, wait_for_ever(unwound),
          asio::bind_cancellation_slot(stop.slot(), [&](const std::exception_ptr& error) {
              CHECK(unwound);
              try {
                  rethrow(error);
              } catch (const std::system_error& thrown) {
                  got = thrown.code();
              }
          }));
    const bool running = GENERATE(true, false);
    if (running)
        io.poll();
    CHECK_FALSE(got);
    stop.emit(asio::cancellation_type::terminal);
    stop.emit(asio::cancellation_type::terminal);
    run_to_end(io);
    CHECK(got == asio::error::operation_aborted);
    stop.emit(asio::cancellation_type::terminal);  // nobody listens any more
}

TEST_CASE("a cancellation that comes too late is of no avail", "[asio_interop]")
{
    asio::io_context io;
    asio::cancellation_signal stop;
    bool called = false;
    {
        hosted_runtime here{io};
        spawn(here, say("done"),
              asio::bind_cancellation_slot(
                  stop.slot(), [&](const std::exception_ptr& error, const std::string& said) {
                      rethrow(error);
                      CHECK(said == "done");
                      called = true;
                  }));
        io.run_one_for(20s);
        while (!called) {
            if (here.ended() && !called)
                stop.emit(asio::cancellation_type::terminal);
            io.run_one_for(20s);
        }
    }
    CHECK(called);
}

TEST_CASE("a coroutine that is cancelled takes its whence task along", "[asio_interop]")
{
    asio::io_context io;
    hosted_runtime here{io};
    bool unwound = false;
    bool ended = false;
    asio::cancellation_signal stop;
    asio::co_spawn(
        io,
        [](hosted_runtime& whence, bool& task_unwound) -> asio::awaitable<void> {
            co_await spawn(whence, wait_for_ever(task_unwound), asio::use_awaitable);
        }(here, unwound),
        asio::bind_cancellation_slot(stop.slot(), [&](const std::exception_ptr& error) {
            CHECK(error);
            ended = true;
        }));
    io.poll();
    stop.emit(asio::cancellation_type::terminal);
    run_to_end(io);
    CHECK(unwound);
    CHECK(ended);
}

TEST_CASE("a task is spawned from other threads, its handler called where it wants",
          "[asio_interop]")
{
    asio::io_context io;
    hosted_runtime here{io};
    auto staying = asio::make_work_guard(io);
    asio::thread_pool others{2};
    const auto strand = asio::make_strand(others);
    constexpr int calls = 200;
    int done = 0;  // the strand's
    for (int i = 0; i < calls; ++i) {
        asio::post(others, [&] {
            spawn(here, say("hello"),
                  asio::bind_executor(
                      strand, [&](const std::exception_ptr& error, const std::string& said) {
                          rethrow(error);
                          CHECK(strand.running_in_this_thread());
                          CHECK(said == "hello");
                          if (++done == calls)
                              staying.reset();
                      }));
        });
    }
    run_to_end(io);
    others.join();
    CHECK(done == calls);
}

TEST_CASE("a task is spawned into a runtime of another thread, and stopped there", "[asio_interop]")
{
    asio::io_context io;
    std::atomic<runtime*> there = nullptr;
    std::thread running{[&there] {
        runtime own;
        own.run([](std::atomic<runtime*>& tell) -> task<> {
            tell = &runtime::current();
            tell.notify_one();
            co_await runtime::current().drain().wait();
        }(there));
    }};
    there.wait(nullptr);
    run_to_end(io, [](runtime& other) -> asio::awaitable<void> {
        for (int i = 0; i < 100; ++i) {
            const std::string said = co_await spawn(other, say("over there"), asio::use_awaitable);
            CHECK(said == "over there");
        }
    }(*there));

    bool unwound = false;
    asio::cancellation_signal stop;
    asio::steady_timer soon{io, 5ms};
    soon.async_wait([&](std::error_code) { stop.emit(asio::cancellation_type::terminal); });
    std::error_code got;
    spawn(*there, wait_for_ever(unwound),
          asio::bind_cancellation_slot(
              stop.slot(), asio::bind_executor(io, [&](const std::exception_ptr& error) {
                  try {
                      rethrow(error);
                  } catch (const std::system_error& thrown) {
                      got = thrown.code();
                  }
              })));
    run_to_end(io);
    CHECK(got == asio::error::operation_aborted);
    CHECK(unwound);
    (*there).ask_to_drain();
    running.join();
}

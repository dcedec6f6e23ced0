#include "run_here.hpp"

#include "permitted.hpp"
#include "run_server.hpp"

#include <whence/coro/yield.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>

using namespace whence;

namespace support {

watchdog::watchdog(runtime& watched, std::chrono::seconds time_max)
    : thread_([this, &watched, time_max] {
          std::unique_lock guard{lock_};
          if (ended_.wait_for(guard, time_max, [this] { return stop_; }))
              return;
          // The loop stands still or spins; either way its tasks are readable enough to help.
          std::fprintf(stderr, "a test ran out of time; its tasks:\n%s",
                       watched.dump_tasks().c_str());
          std::abort();
      })
{}

watchdog::~watchdog()
{
    {
        const std::lock_guard guard{lock_};
        stop_ = true;
    }
    ended_.notify_one();
    thread_.join();
}

std::size_t open_descriptors()
{
    const std::filesystem::directory_iterator all{"/proc/self/fd"};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

leak_check::leak_check() : frames_(frames_in_use()), descriptors_(open_descriptors()) {}

void leak_check::pool_is_whole(buffer_pool& pool) const
{
    CHECK(pool.available() == pool.count());
}

void leak_check::nothing_left() const
{
    CHECK(frames_in_use().frames == frames_.frames);
    CHECK(frames_in_use().bytes == frames_.bytes);
    descriptors_closed();
}

void leak_check::descriptors_closed() const
{
    CHECK(open_descriptors() == descriptors_);
}

task<> settle()
{
    // Loopback delivers inside the sender's call; a message takes a few turns through server,
    // handler and back.
    constexpr int turns = 50;
    for (int i = 0; i < turns; ++i)
        co_await yield{};
}

task<connected_pair> connect_pair()
{
    listener at = listener::bind("127.0.0.1:0");
    connection client = co_await connect(at.local());
    connection server = co_await at.accept();
    co_return connected_pair{std::move(client), std::move(server)};
}

task<std::string> ask(endpoint address, std::string text)
{
    connection conn = co_await connect(address);
    auto writing = as_result(conn.write(text));
    const std::error_code failed = co_await writing;
    if (permitted::writer_after_reset(failed))
        co_return "reset";
    if (!failed)
        conn.shutdown();
    std::string answer;
    for (;;) {
        auto receiving = as_result(conn.receive());
        const result<chunk> part = co_await receiving;
        if (!part)
            co_return part.error() == std::errc::connection_reset ? "reset" : answer;
        if (!*part)
            co_return answer;
        answer += part->text();
    }
}

}  // namespace support

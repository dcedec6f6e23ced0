#include <whence/runtime/runtime_metrics.hpp>

#include "support/run_here.hpp"

#include <whence/coro/deadline.hpp>

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <string>

using namespace whence;
using support::run_here;

namespace {

/// Keeps the values by their metric's name.
class values final : public metric_reader {
public:
    explicit values(const runtime_metrics& from) { from.read(*this); }

    std::map<std::string, i64, std::less<>> numbers;
    std::map<std::string, histogram_values, std::less<>> histograms;

private:
    void number(const metric& which, metric_labels, i64 value) override
    {
        numbers[std::string{which.name}] += value;
    }
    void histogram(const metric& which, metric_labels, const histogram_values& held) override
    {
        histograms[std::string{which.name}] = held;
    }
};

/// Counts what an application counts.
class dice final : public metric_block {
public:
    counter thrown;

private:
    void read(metric_reader& to) const override
    {
        static constexpr metric throws{
            .name = "dice_thrown_total", .labels = "", .meaning = "Dice thrown."};
        to.number(throws, {}, static_cast<i64>(thrown.value()));
    }
};

}  // namespace

TEST_CASE("a runtime counts its turns, what they took and what they brought", "[runtime]")
{
    run_here([]() -> task<> {
        for (int i = 0; i < 10; ++i)
            co_await sleep_for(0ms);
        const time_point begun = now();
        while (runtime::current().io().now() - begun < 20ms) {
        }
        co_await sleep_for(1ms);
        const values held{runtime::current().metrics()};
        const histogram_values& turns = held.histograms.at("whence_turn_completions");
        CHECK(turns.count() >= 11);
        const histogram_values& lag = held.histograms.at("whence_loop_lag_seconds");
        CHECK(lag.count() == turns.count());
        CHECK(lag.sum >= 20'000'000);
        u64 slow = 0;
        for (std::size_t i = 8; i < lag.counts.size(); ++i)
            slow += lag.counts[i];  // above 10 ms
        CHECK(slow >= 1);
        CHECK(held.numbers.at("whence_frames") > 0);
        CHECK(held.numbers.at("whence_frames_bytes") > 0);
        CHECK(held.numbers.at("whence_buffers") == 1024);
        CHECK(held.numbers.at("whence_buffers_available") == 1024);
        CHECK(held.numbers.at("whence_start_time_seconds") > 0);
    });
}

TEST_CASE("a receive that is copied out because the pool is low is counted", "[runtime]")
{
    run_here(
        []() -> task<> {
            auto pair = co_await support::connect_pair();
            std::vector<chunk> held;
            for (int i = 0; i < 4; ++i) {
                co_await pair.client.write("hello");
                held.push_back(co_await pair.server.receive());
            }
            co_await sleep_for(1ms);
            const values counted{runtime::current().metrics()};
            CHECK(counted.numbers.at("whence_buffers_copied_total") == 1);
            CHECK(counted.numbers.at("whence_buffers_starved_total") == 0);
            CHECK(counted.numbers.at("whence_buffers_available") == 1);
            CHECK(counted.histograms.at("whence_turn_completions").sum >= 8);
        },
        {.buffers_count = 4});
}

TEST_CASE("a receive that has data and finds no buffer is counted", "[runtime]")
{
    run_here(
        []() -> task<> {
            auto pair = co_await support::connect_pair();
            auto other = co_await support::connect_pair();
            co_await pair.client.write("hello");
            chunk held = co_await pair.server.receive();
            co_await pair.client.write("hello");
            chunk more = co_await pair.server.receive();
            co_await other.client.write("hello");
            scope waiting;
            waiting.spawn([](connection& on) -> task<> { co_await on.receive(); }(other.server));
            co_await support::settle();
            const values counted{runtime::current().metrics()};
            CHECK(counted.numbers.at("whence_buffers_starved_total") == 1);
            CHECK(counted.numbers.at("whence_buffers_available") == 0);
            waiting.stop();
            co_await waiting.join();
        },
        {.buffers_count = 2});
}

TEST_CASE("log lines that are lost or held back are counted", "[runtime]")
{
    run_here([]() -> task<> {
        runtime& here = runtime::current();
        const std::string huge(300 * 1024, 'x');
        here.errors().line(huge);
        co_await sleep_for(1ms);
        co_await sleep_for(1ms);
        CHECK(values{here.metrics()}.numbers.at("whence_log_dropped_total") == 1);
    });
}

TEST_CASE("an application's own counters are told with the runtime's", "[runtime]")
{
    run_here([]() -> task<> {
        runtime_metrics& here = runtime::current().metrics();
        dice& counted = here.add(std::make_unique<dice>());
        counted.thrown.add(6);
        CHECK(values{here}.numbers.at("dice_thrown_total") == 6);
        CHECK(here.find([&](metric_block& block) { return &block == &counted; }) == &counted);
        co_return;
    });
}

TEST_CASE("another thread reads while a runtime counts and adds blocks", "[runtime]")
{
    run_here([]() -> task<> {
        runtime_metrics& here = runtime::current().metrics();
        std::atomic<bool> done = false;
        i64 most = 0;
        std::thread reader{[&] {
            while (!done)
                most = std::max(most, values{here}.numbers["dice_thrown_total"]);
        }};
        for (int i = 0; i < 100; ++i) {
            here.add(std::make_unique<dice>()).thrown.add();
            co_await sleep_for(0ms);
        }
        done = true;
        reader.join();
        CHECK(most <= 100);
        CHECK(values{here}.numbers.at("dice_thrown_total") == 100);
    });
}

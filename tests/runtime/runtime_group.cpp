#include <whence/runtime/runtime_group.hpp>

#include "support/run_here.hpp"

#include <whence/runtime/invoke_on.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>

using namespace whence;
using support::run_in_group;

TEST_CASE("a runtime by itself is a group of one", "[runtime]")
{
    support::run_here([]() -> task<> {
        CHECK(runtime::current().group().size() == 1);
        CHECK(runtime::current().group()[0] == &runtime::current());
        CHECK(runtime::current().index() == 0);
        co_return;
    });
}

TEST_CASE("a group that was never run ends", "[runtime]")
{
    const support::leak_check leaks;
    {
        const runtime_group unused{{.threads = 3}};
        CHECK(unused.runtimes().size() == 3);
    }
    leaks.descriptors_closed();
}

TEST_CASE("a driver that cannot be had in one thread is the group's error", "[runtime]")
{
    const support::leak_check leaks;
    std::atomic<int> opened{0};
    const auto open = [&opened]() -> std::unique_ptr<driver> {
        if (++opened == 3)
            throw driver_unavailable("the third ring");
        return support::open_test_driver();
    };
    CHECK_THROWS_MATCHES(runtime_group({.threads = 4, .open_driver = open}), driver_unavailable,
                         Catch::Matchers::Message("the third ring"));
    leaks.descriptors_closed();
}

TEST_CASE("too many threads are refused by name", "[runtime]")
{
    CHECK_THROWS_AS(runtime_group({.threads = 1025}), std::invalid_argument);
    CHECK_THROWS_AS(runtime_group({.threads = 1024, .pin = true}), std::invalid_argument);
}

TEST_CASE("no number of threads means one for each CPU", "[runtime]")
{
    cpu_set_t allowed;
    REQUIRE(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    const runtime_group group{{.threads = 0}};
    CHECK(group.runtimes().size() == static_cast<std::size_t>(CPU_COUNT(&allowed)));
}

TEST_CASE("pinned threads stay on a CPU each, and the caller gets its own back", "[runtime]")
{
    const auto allowed = [] {
        cpu_set_t set;
        if (pthread_getaffinity_np(pthread_self(), sizeof set, &set) != 0)
            CPU_ZERO(&set);
        return set;
    };
    const cpu_set_t before = allowed();
    {
        runtime_group group{{.threads = static_cast<u32>(CPU_COUNT(&before)), .pin = true}};
        group.run([](auto ask) -> task<> {
            std::vector<int> cpus;
            for (runtime* const there : runtime::current().group()) {
                auto asking = invoke_on(*there, [ask]() -> task<cpu_set_t> { co_return ask(); });
                const cpu_set_t set = co_await asking;
                CHECK(CPU_COUNT(&set) == 1);
                for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
                    if (CPU_ISSET(cpu, &set))
                        cpus.push_back(cpu);
                }
            }
            std::ranges::sort(cpus);
            CHECK(std::ranges::adjacent_find(cpus) == cpus.end());
        }(allowed));
    }
    const cpu_set_t after = allowed();
    CHECK(CPU_EQUAL(&before, &after));
}

TEST_CASE("what fails in the root of any runtime is the run's failure", "[runtime]")
{
    const auto body = []() -> task<> {
        runtime& there = *runtime::current().group()[1];
        auto leaving = invoke_on(there, []() -> task<> {
            runtime::current().root().spawn([]() -> task<> {
                co_await sleep_for(1ms);
                throw std::runtime_error("left alone there");
            }());
            co_return;
        });
        co_await leaving;
        co_await sleep_for(1h);
    };
    CHECK_THROWS_MATCHES(run_in_group(2, body), std::runtime_error,
                         Catch::Matchers::Message("left alone there"));
}

TEST_CASE("what main throws ends the group", "[runtime]")
{
    const auto body = []() -> task<> {
        co_await sleep_for(1ms);
        throw std::runtime_error("main failed");
    };
    CHECK_THROWS_MATCHES(run_in_group(3, body), std::runtime_error,
                         Catch::Matchers::Message("main failed"));
}

TEST_CASE("log lines of all threads arrive whole", "[runtime]")
{
    const int file = memfd_create("log", MFD_CLOEXEC);
    const int errors_before = dup(STDERR_FILENO);
    REQUIRE(dup2(file, STDERR_FILENO) == STDERR_FILENO);
    constexpr std::size_t lines = 2000;
    {
        runtime_group group{{.threads = 3}};
        group.run([]() -> task<> {
            for (runtime* const there : runtime::current().group()) {
                runtime::current().root().spawn(invoke_on(*there, []() -> task<> {
                    const char own = static_cast<char>('a' + runtime::current().index());
                    for (std::size_t i = 0; i < lines; ++i) {
                        runtime::current().errors().line(std::string(99, own));
                        if (i % 7 == 0)
                            co_await sleep_for(0ns);
                    }
                }));
            }
            co_return;
        }());
    }
    dup2(errors_before, STDERR_FILENO);
    close(errors_before);
    std::string text(3 * lines * 100 + 1, '\0');
    const ssize_t size = pread(file, text.data(), text.size(), 0);
    close(file);
    REQUIRE(size == 3 * lines * 100);
    bool whole = true;
    for (std::size_t at = 0; at < 3 * lines * 100; at += 100)
        whole = whole && text.substr(at, 100) == std::string(99, text[at]) + '\n';
    CHECK(whole);
}

#include <whence/runtime/sharded.hpp>

#include "support/run_here.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace whence;
using support::run_in_group;

TEST_CASE("each runtime has its own shard, and the sum asks them all", "[runtime]")
{
    run_in_group(3, []() -> task<> {
        struct count {
            explicit count(int start) : value(start) {}
            int value;
        };
        sharded<count> hits{100};
        REQUIRE(hits.size() == 3);
        for (runtime* const there : runtime::current().group()) {
            auto asking = invoke_on(*there, [&hits]() -> task<> {
                hits.local().value += 1 + static_cast<int>(runtime::current().index());
                co_return;
            });
            co_await asking;
        }
        auto second = hits.invoke_on(1, [](count& at) -> task<std::pair<int, std::size_t>> {
            co_return std::pair{at.value, runtime::current().index()};
        });
        const auto [value, index] = co_await second;
        CHECK(value == 102);
        CHECK(index == 1);
        auto adding = hits.sum([](count& at) -> task<int> { co_return at.value; });
        const int all = co_await adding;
        CHECK(all == 306);
    });
}

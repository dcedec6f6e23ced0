#include <whence/runtime/report_log.hpp>

#include "support/captured.hpp"
#include "support/run_here.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace whence;

TEST_CASE("an event that is held back is counted and told, and never built", "[runtime]")
{
    const support::captured log{2};
    u64 built = 0;
    u64 held_back = 0;
    support::run_here([&]() -> task<> {
        report_log& reports = runtime::current().reports();
        u64 sent = 0;
        for (; reports.held_back() < 100; ++sent)
            reports.event("storm", [&](json_object& line) { line.add("number", built++); });
        CHECK(built + reports.held_back() == sent);
        reports.tell_held_back();
        CHECK(built + reports.held_back() == sent);  // what was told counts on
        held_back = reports.held_back();
        co_return;
    });
    u64 told = 0;
    u64 lines = 0;
    for (const auto& line : log.events()) {
        if (line.at("event") == "log_rate_limited")
            told += line.at("count").get<u64>();
        else
            CHECK(line == nlohmann::json{{"event", "storm"}, {"number", lines++}});
    }
    CHECK(lines == built);
    CHECK(told == held_back);
}

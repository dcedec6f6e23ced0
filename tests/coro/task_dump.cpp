#include <whence/coro/task_dump.hpp>

#include "support/manual_loop.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/coro/event.hpp>

#include <nlohmann/json.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sstream>

using namespace whence;
using nlohmann::json;
using support::run_to_end;

namespace {

std::vector<json> lines_of(cancel_scope& top, const task_dump_options& options = {})
{
    std::string text;
    dump_tasks(top, now(), text, options);
    std::vector<json> lines;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);)
        lines.push_back(json::parse(line));
    return lines;
}

std::vector<json> only(const std::vector<json>& lines, const std::string& event)
{
    std::vector<json> wanted;
    for (const json& line : lines) {
        if (line.at("event") == event)
            wanted.push_back(line);
    }
    return wanted;
}

task<> wait_here(event& awaited)
{
    co_await awaited.wait();
}

task<> wait_there(event& awaited)
{
    set_task_name("there");
    co_await awaited.wait();
}

}  // namespace

TEST_CASE("a dump tells where a task waits, for how long and in which scopes", "[coro]")
{
    run_to_end([]() -> task<> {
        event awaited;
        scope outer;
        constexpr static scope_label label{"workers"};
        outer.set_label(label);
        outer.spawn(wait_here(awaited), "keep_alive");
        co_await sleep_for(1500ms);
        const auto lines = lines_of(outer);
        REQUIRE(lines.size() == 3);
        CHECK(lines[0] == json::parse(R"({"event":"tasks","count":1,"places":1})"));
        CHECK(lines[1].at("count") == 1);
        CHECK(lines[1].at("oldest_ms") == 1500);
        const json& told = lines[2];
        CHECK(told.at("event") == "task");
        CHECK(told.at("at").get<std::string>().find("tests/coro/task_dump.cpp:") !=
              std::string::npos);
        CHECK(told.at("function").get<std::string>().find("wait_here") != std::string::npos);
        CHECK(told.at("state") == "waiting");
        CHECK(told.at("for_ms") == 1500);
        CHECK(told.at("in") == "root/workers");
        CHECK(told.at("name") == "keep_alive");
        awaited.set();
        co_await outer.join();
    });
}

TEST_CASE("the time of a wait counts from the task's last turn", "[coro]")
{
    run_to_end([]() -> task<> {
        event awaited;
        scope outer;
        outer.spawn([](event& then) -> task<> {
            co_await sleep_for(10s);
            co_await then.wait();
        }(awaited));
        co_await sleep_for(12s);
        CHECK(only(lines_of(outer), "task").at(0).at("for_ms") == 2000);
        awaited.set();
        CHECK(only(lines_of(outer), "task").at(0).at("state") == "ready");
        co_await outer.join();
    });
}

TEST_CASE("a dump goes down the tree and names a deadline in it", "[coro]")
{
    run_to_end([]() -> task<> {
        event awaited;
        scope outer;
        outer.spawn([](event& then) -> task<> {
            deadline limit{1h};
            auto inside = in_scope([&then](scope& inner) -> task<> {
                inner.spawn(wait_there(then));
                co_return;
            });
            co_await inside;
        }(awaited));
        co_await sleep_for(1ms);
        const auto told = only(lines_of(outer), "task");
        REQUIRE(told.size() == 2);
        const json& inner = told[0].contains("name") ? told[0] : told[1];
        CHECK(inner.at("name") == "there");
        CHECK(inner.at("in") == "root/scope/deadline/scope");
        awaited.set();
        co_await outer.join();
    });
}

TEST_CASE("a scope's label describes whom its tasks work for", "[coro]")
{
    run_to_end([]() -> task<> {
        static constexpr scope_label label{"sessions", [](const void* subject, std::string& out) {
                                               out += ",\"client\":\"";
                                               out += static_cast<const char*>(subject);
                                               out += '"';
                                           }};
        event awaited;
        scope outer;
        outer.set_label(label);
        outer.spawn([](event& then) -> task<> {
            internal::ctx.current->subject = "somebody";
            co_await then.wait();
        }(awaited));
        co_await sleep_for(1ms);
        CHECK(only(lines_of(outer), "task").at(0).at("client") == "somebody");
        awaited.set();
        co_await outer.join();
    });
}

TEST_CASE("a dump of many tasks tells the oldest and counts the rest by place", "[coro]")
{
    run_to_end([]() -> task<> {
        event awaited;
        scope outer;
        for (int i = 0; i < 1000; ++i) {
            outer.spawn(wait_here(awaited));
            co_await sleep_for(1ms);
        }
        outer.spawn(wait_there(awaited));
        co_await sleep_for(1ms);
        const auto lines = lines_of(outer, {.tasks_max = 3});
        const auto places = only(lines, "tasks_at");
        REQUIRE(places.size() == 2);
        CHECK(places[0].at("count") == 1000);
        CHECK(places[0].at("oldest_ms") == 1001);
        CHECK(places[1].at("count") == 1);
        const auto told = only(lines, "task");
        REQUIRE(told.size() == 3);
        CHECK(told[0].at("for_ms") == 1001);
        CHECK(told[1].at("for_ms") == 1000);
        CHECK(told[2].at("for_ms") == 999);

        const auto short_of_places =
            only(lines_of(outer, {.tasks_max = 0, .places_max = 1}), "tasks_at");
        REQUIRE(short_of_places.size() == 2);
        CHECK(short_of_places[1].at("at") == "elsewhere");
        CHECK(short_of_places[1].at("count") == 1);
        awaited.set();
        co_await outer.join();
    });
}

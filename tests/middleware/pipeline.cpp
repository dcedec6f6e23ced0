#include <whence/middleware/pipeline.hpp>

#include "support/run_server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>

using namespace whence;
using support::ask;
using support::run_here;
using support::with_server;

namespace {

task<> greet(connection& conn)
{
    co_await conn.write("handler");
}

/// Writes its name before and after the rest.
struct bracket {
    std::string name;

    template <class Next>
    task<> operator()(connection& conn, const Next& next) const
    {
        co_await conn.write(name + "(");
        co_await next(conn);
        co_await conn.write(")" + name);
    }
};

struct named_gate {
    std::string name;

    task<verdict> operator()(connection& conn) const
    {
        co_await conn.write(name + " ");
        co_return verdict::pass();
    }
};

struct closed_gate {
    task<verdict> operator()(connection&) const { co_return verdict::refuse_quietly("closed"); }
};

struct namer {
    static constexpr bool names_client = true;
    task<verdict> operator()(connection&) const { co_return verdict::pass(); }
};

struct judge {
    static constexpr bool judges_client = true;
    task<verdict> operator()(connection&) const { co_return verdict::pass(); }
};

template <class App>
std::string answer_of(App app)
{
    std::string answer;
    run_here([&]() -> task<> {
        co_await with_server(std::move(app), [&answer](endpoint address) -> task<> {
            answer = co_await ask(address, "");
        });
    });
    return answer;
}

}  // namespace

TEST_CASE("layers run in the order in which they are written", "[middleware]")
{
    CHECK(answer_of(pipeline(greet)) == "handler");
    CHECK(answer_of(pipeline(bracket{"a"}, bracket{"b"}, greet)) == "a(b(handler)b)a");
    CHECK(answer_of(pipeline(named_gate{"g"}, named_gate{"h"}, bracket{"a"}, greet)) ==
          "g h a(handler)a");
    CHECK(answer_of(pipeline(bracket{"a"}, named_gate{"g"}, bracket{"b"}, greet)) ==
          "a(g b(handler)b)a");
}

TEST_CASE("a lambda is a layer, and a lambda is a handler", "[middleware]")
{
    auto wrap = [](connection& conn, const auto& next) -> task<> {
        co_await conn.write("<");
        co_await next(conn);
        co_await conn.write(">");
    };
    auto handler = [](connection& conn) -> task<> { co_await conn.write("lambda"); };
    CHECK(answer_of(pipeline(wrap, handler)) == "<lambda>");
}

TEST_CASE("a gate that refuses ends the connection, in front or behind a wrapper", "[middleware]")
{
    CHECK(answer_of(pipeline(closed_gate{}, greet)) == "reset");
    CHECK(answer_of(pipeline(closed_gate{}, bracket{"a"}, greet)) == "reset");
    const std::string behind = answer_of(pipeline(bracket{"a"}, closed_gate{}, greet));
    CHECK(behind.find("handler") == behind.npos);
    CHECK(behind.find(")a") == behind.npos);
}

TEST_CASE("a verdict that passes has no reason", "[middleware]")
{
    CHECK(verdict::pass().reason().empty());
    CHECK(verdict::refuse("banned").reason() == "banned");
}

TEST_CASE("leading gates run in the session's own frame", "[middleware]")
{
    auto app = pipeline(named_gate{"g"}, closed_gate{}, bracket{"a"}, named_gate{"h"}, greet);
    const auto sealed = std::move(app).seal();
    CHECK(sealed->gates().size() == 2);
    CHECK(std::move(pipeline(bracket{"a"}, named_gate{"g"}, greet)).seal()->gates().empty());
}

TEST_CASE("who judges clients stands behind who names them", "[middleware]")
{
    using internal::judges_behind_names;
    static_assert(judges_behind_names<namer, judge, decltype(&greet)>());
    static_assert(judges_behind_names<judge, decltype(&greet)>());
    static_assert(judges_behind_names<bracket, namer, judge, decltype(&greet)>());
    static_assert(!judges_behind_names<judge, namer, decltype(&greet)>());
    static_assert(!judges_behind_names<bracket, judge, bracket, namer, decltype(&greet)>());
    CHECK(answer_of(pipeline(namer{}, judge{}, greet)) == "handler");
}

TEST_CASE("what is no layer is told apart", "[middleware]")
{
    static_assert(gate<named_gate> && !wrapper<named_gate> && !handler<named_gate>);
    static_assert(wrapper<bracket> && !gate<bracket> && !handler<bracket>);
    static_assert(handler<decltype(&greet)> && !gate<decltype(&greet)>);
    static_assert(!gate<int> && !wrapper<int> && !handler<int>);
    // Layers are shared by all connections: one that is not callable when const is none.
    auto counting = [n = 0](connection&) mutable -> task<verdict> {
        co_return ++n == 1 ? verdict::pass() : verdict::refuse("twice");
    };
    static_assert(!gate<decltype(counting)>);
    SUCCEED();
}

#include <whence/runtime/json_line.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

using namespace whence;
using namespace std::string_literals;

TEST_CASE("an object keeps the order of its keys, and its event comes first", "[runtime]")
{
    CHECK(json_object{}.text() == "{}");
    CHECK(json_line("x").text() == R"({"event":"x"})");
    json_object line = json_line("refused");
    line.add("reason", "why").add("count", u64{3}).add_json("list", "[1,2]");
    CHECK(line.text() == R"({"event":"refused","reason":"why","count":3,"list":[1,2]})");
}

TEST_CASE("whatever a peer names itself, the line stays one JSON line", "[runtime]")
{
    const std::string hostile = "\"}\n{\"event\":\"forged\"\x80\x00\x1b"s;
    const std::string text = json_line("e").add("name", hostile).text();
    CHECK(text.find('\n') == text.npos);
    CHECK(text.find('\x1b') == text.npos);
    CHECK(text.find("\",\"event\":\"forged") == text.npos);
    const std::string named = json_line("e").add("peer", endpoint::unix_path("/a\"b\nc")).text();
    CHECK(named == R"({"event":"e","peer":"unix:/a\"b\\x0ac"})");
}

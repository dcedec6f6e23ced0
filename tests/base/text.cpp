#include <whence/base/text.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace whence;
using namespace std::chrono_literals;
using namespace std::string_view_literals;

TEST_CASE("durations are read and printed", "[base]")
{
    struct row {
        std::string_view text;
        std::chrono::nanoseconds value;
    };
    for (const auto& [text, value] :
         {row{"5s", 5s}, row{"250ms", 250ms}, row{"2m", 2min}, row{"1h", 1h}, row{"7us", 7us},
          row{"1ns", 1ns}, row{"0s", 0s}, row{"90s", 90s}, row{"1500ms", 1500ms}})
    {
        CAPTURE(text);
        const auto parsed = parse_duration(text);
        REQUIRE(parsed);
        CHECK(*parsed == value);
        CHECK(duration_text(value) == text);
    }
    CHECK(duration_text(60s) == "1m");
    CHECK(duration_text(-90s) == "-90s");
}

TEST_CASE("durations that say nothing clear are refused", "[base]")
{
    struct row {
        std::string_view text, message;
    };
    for (const auto& [text, message] :
         {row{"", R"("": must begin with a number)"},
          row{"5", R"("5": the unit must be one of h m s ms us ns)"},
          row{"5 s", R"("5 s": the unit must be one of h m s ms us ns)"},
          row{"-1s", R"("-1s": must begin with a number)"},
          row{"1.5s", R"("1.5s": the unit must be one of h m s ms us ns)"},
          row{"9999999h", R"("9999999h": is too large)"}})
    {
        const auto parsed = parse_duration(text);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error() == message);
    }
}

TEST_CASE("sizes are read and printed", "[base]")
{
    struct row {
        std::string_view text;
        u64 value;
    };
    for (const auto& [text, value] :
         {row{"4096", 4096}, row{"64KiB", 65536}, row{"1MiB", 1048576}, row{"3GiB", 3221225472},
          row{"12B", 12}, row{"0", 0}, row{"18446744073709551615", ~u64{0}}})
    {
        CAPTURE(text);
        const auto parsed = parse_size(text);
        REQUIRE(parsed);
        CHECK(*parsed == value);
    }
    CHECK(size_text(65536) == "64KiB");
    CHECK(size_text(4097) == "4097");
    CHECK(size_text(0) == "0");
    for (const auto* text : {"", "KiB", "1kb", "18446744073709551616", "17179869184GiB", "1 KiB"})
        CHECK_FALSE(parse_size(text));
}

TEST_CASE("numbers are read whole and bounded", "[base]")
{
    CHECK(*parse_number("128", 128) == 128);
    CHECK(parse_number("129", 128).error() == R"("129": must be at most 128)");
    CHECK(parse_number("12x").error() == R"("12x": must be a whole number)");
    CHECK(parse_number("").error() == R"("": must be a whole number)");
}

TEST_CASE("bytes are printed and read as hexadecimal", "[base]")
{
    CHECK(hex_text(as_bytes("\x00\xff\x10"sv)) == "00ff10");
    CHECK(as_text(*parse_hex("00FF10")) == "\x00\xff\x10"sv);
    CHECK_FALSE(parse_hex("0"));
    CHECK_FALSE(parse_hex("0g"));
    CHECK_FALSE(parse_hex("+1"));
}

TEST_CASE("UTF-8 is told from other bytes", "[base]")
{
    for (const auto good : {""sv, "plain"sv, "\xc3\xa4"sv, "\xe2\x82\xac"sv, "\xf0\x9f\x99\x82"sv,
                            "\xed\x9f\xbf"sv, "\xf4\x8f\xbf\xbf"sv, "\0"sv})
        CHECK(is_utf8(good));
    for (const auto bad :
         {"\x80"sv, "\xc0\xaf"sv, "\xc1\xbf"sv, "\xc3"sv, "\xe0\x9f\xbf"sv, "\xed\xa0\x80"sv,
          "\xf0\x8f\xbf\xbf"sv, "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xff\xfe"sv,
          "\xe2\x82"sv, "\xf0\x9f\x99"sv, "a\xe2\x28\xa1"sv})
        CHECK_FALSE(is_utf8(bad));
}

TEST_CASE("text becomes valid JSON whatever it holds", "[base]")
{
    struct row {
        std::string_view text, json;
    };
    for (const auto& [text, json] :
         {row{"plain", R"("plain")"}, row{"a\"b\\", R"("a\"b\\")"},
          row{"\r\n\t\0"sv, R"("\u000d\u000a\u0009\u0000")"}, row{"\xc3\xa4", "\"\xc3\xa4\""},
          row{"\xff"
              "a",
              "\"\xef\xbf\xbd"
              "a\""},
          row{"\x7f", R"("\u007f")"}})
    {
        std::string out = "x=";
        json_text(out, text);
        CHECK(out == "x=" + std::string{json});
    }
}

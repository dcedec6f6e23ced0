#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>

namespace {

const std::filesystem::path tests = std::filesystem::path{WHENCE_TEST_DATA}.parent_path();

std::string content_of(const std::filesystem::path& path)
{
    std::ifstream file{path};
    REQUIRE(file);
    return {std::istreambuf_iterator<char>{file}, {}};
}

/// Collects what stands between `open` and the next `close`, all over the text.
std::set<std::string> between(const std::string& text, const std::string& open, char close)
{
    std::set<std::string> found;
    for (auto at = text.find(open); at != text.npos; at = text.find(open, at)) {
        at += open.size();
        const auto end = text.find(close, at);
        found.insert(text.substr(at, end - at));
        at = end + 1;
    }
    return found;
}

}  // namespace

TEST_CASE("every test that the rules' table names exists", "[proxy_protocol]")
{
    std::set<std::string> existing;
    for (const auto& entry : std::filesystem::recursive_directory_iterator{tests})
        if (entry.path().extension() == ".cpp")
            existing.merge(between(content_of(entry.path()), "TEST_CASE(\"", '"'));

    std::istringstream lines{content_of(tests.parent_path() / "docs" / "proxy_protocol.md")};
    std::size_t rows = 0;
    for (std::string line; std::getline(lines, line);) {
        // A row is "| rule | decision | tests |"; rules begin with a number or with S and one.
        const bool is_rule =
            line.starts_with("| S") || (line.starts_with("| ") && line[2] >= '0' && line[2] <= '9');
        if (!is_rule)
            continue;
        ++rows;
        CAPTURE(line);
        const auto column = line.substr(line.rfind(" | ", line.size() - 4));
        const auto named = between(column, "`", '`');
        CHECK((!named.empty() || column.find("middleware:") != column.npos));
        for (const auto& name : named) {
            CAPTURE(name);
            CHECK(existing.contains(name));
        }
    }
    CHECK(rows == 44 + 14);
}

#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
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

/// Collects what the expression's first group matches, all over the text.
std::set<std::string> matches(const std::string& text, const char* expression)
{
    const std::regex wanted{expression};
    std::set<std::string> found;
    for (std::sregex_iterator at{text.begin(), text.end(), wanted}; at != std::sregex_iterator{};
         ++at)
        found.insert((*at)[1]);
    return found;
}

}  // namespace

TEST_CASE("the senders' table names the tests that there are", "[interop]")
{
    // A test of a real program has the program's name as its second tag.
    std::set<std::string> existing;
    for (const auto& entry : std::filesystem::directory_iterator{tests / "interop"})
        existing.merge(
            matches(content_of(entry.path()), R"re(TEST_CASE\("([^"]+)",\s*"\[interop\]\[)re"));

    std::istringstream lines{content_of(tests.parent_path() / "docs" / "senders.md")};
    std::set<std::string> named;
    std::size_t rows = 0;
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("| ") || line.starts_with("| sender"))
            continue;
        ++rows;
        CAPTURE(line);
        auto of_this_row = matches(line.substr(line.rfind(" | ", line.size() - 4)), "`([^`]+)`");
        CHECK_FALSE(of_this_row.empty());
        for (const std::string& name : of_this_row) {
            CAPTURE(name);
            CHECK(existing.contains(name));
        }
        named.merge(of_this_row);
    }
    CHECK(rows == 14);
    for (const std::string& name : existing) {
        CAPTURE(name);
        CHECK(named.contains(name));
    }
}

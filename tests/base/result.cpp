#include <whence/base/result.hpp>

#include <catch2/catch_test_macros.hpp>

#include <memory>

using namespace whence;

TEST_CASE("a result holds its value", "[base]")
{
    result<std::unique_ptr<int>> r{std::make_unique<int>(7)};
    REQUIRE(r.has_value());
    CHECK(**r == 7);
    std::unique_ptr<int> taken = std::move(r).value();
    CHECK(*taken == 7);
}

TEST_CASE("a result holds its error", "[base]")
{
    result<int> r{std::make_error_code(std::errc::timed_out)};
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error() == std::errc::timed_out);
}

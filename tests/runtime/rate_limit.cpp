#include <whence/runtime/rate_limit.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace whence;

TEST_CASE("a rate limit lets a burst through, then its rate, and counts the rest", "[runtime]")
{
    rate_limit limit{10, 20};
    const time_point start = time_point{} + 1h;
    int passed = 0;
    for (int i = 0; i < 100; ++i)
        passed += limit.pass(start);
    CHECK(passed == 20);
    CHECK(limit.take_held_back() == 80);
    CHECK(limit.take_held_back() == 0);

    passed = 0;
    for (int i = 0; i < 100; ++i)
        passed += limit.pass(start + 1s);
    CHECK(passed == 10);

    // A long silence saves no more than the burst.
    passed = 0;
    for (int i = 0; i < 100; ++i)
        passed += limit.pass(start + 24h);
    CHECK(passed == 20);
}

#include <whence/base/contiguous_queue.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstdlib>
#include <deque>

using whence::internal::contiguous_queue;

TEST_CASE("a contiguous queue keeps what a deque keeps", "[base]")
{
    contiguous_queue<int> queue;
    std::deque<int> expected;
    int next = 0;
    for (std::size_t step = 0; step < 2000; ++step) {
        std::array<int, 7> more{};
        const std::size_t count = step * 5 % 8;
        for (std::size_t i = 0; i < count; ++i)
            expected.push_back(more[i] = next++);
        queue.reserve(count);
        queue.append(std::span{more}.first(count));
        const std::size_t gone = std::min(step * 3 % 11, expected.size());
        queue.drop(gone);
        expected.erase(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(gone));
        REQUIRE(queue.size() == expected.size());
        REQUIRE(std::ranges::equal(queue.items(), expected));
        if (!expected.empty())
            REQUIRE(queue.front() == expected.front());
    }
}

TEST_CASE("a contiguous queue from which as much goes as comes stays in its block", "[base]")
{
    contiguous_queue<int> queue;
    const std::array<int, 10> ten{};
    const int* block = nullptr;
    for (int i = 0; i < 1000; ++i) {
        queue.reserve(ten.size());
        queue.append(ten);
        if (i >= 10)
            queue.drop(ten.size());
        if (i == 50)
            block = queue.items().data();
    }
    CHECK(queue.size() == 100);
    CHECK(std::abs(queue.items().data() - block) < 256);
    queue.drop(100);
    queue.rest();
    CHECK(queue.empty());
}

TEST_CASE("a contiguous queue is swapped and moved with what it holds", "[base]")
{
    contiguous_queue<int> first;
    contiguous_queue<int> second;
    const std::array<int, 3> three{1, 2, 3};
    first.reserve(3);
    first.append(three);
    first.swap(second);
    CHECK(first.empty());
    CHECK(std::ranges::equal(second.items(), three));
    first = std::move(second);
    CHECK(std::ranges::equal(first.items(), three));
}

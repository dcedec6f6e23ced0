#include <whence/runtime/metrics.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <thread>
#include <vector>

using namespace whence;

TEST_CASE("a counter counts, a gauge rises and falls", "[metrics]")
{
    counter counted;
    counted.add();
    counted.add(41);
    CHECK(counted.value() == 42);
    gauge level;
    level.add(3);
    level.add(-5);
    CHECK(level.value() == -2);
    level.set(7);
    CHECK(level.value() == 7);
}

TEST_CASE("a histogram counts a value at the first bound that is not below it", "[metrics]")
{
    static constexpr u64 bounds[] = {10, 20};
    histogram sizes{bounds};
    for (const u64 value : {0u, 10u, 11u, 20u, 21u, 1000u})
        sizes.observe(value);
    const histogram_values held = sizes.values();
    CHECK(held.counts[0] == 2);
    CHECK(held.counts[1] == 2);
    CHECK(held.counts[2] == 2);
    CHECK(held.sum == 1062);
    CHECK(held.count() == 6);
    histogram_values twice = held;
    twice.merge(held);
    CHECK(twice.counts[2] == 4);
    CHECK(twice.sum == 2124);
}

TEST_CASE("words keep their slots, and what finds none is other", "[metrics]")
{
    labelled_counter<2> reasons;
    reasons.add("malformed");
    reasons.add("too_late");
    reasons.add(std::string{"malformed"});
    reasons.add("untrusted");
    reasons.add("truncated");
    CHECK(reasons.value("malformed") == 2);
    CHECK(reasons.value("too_late") == 1);
    CHECK(reasons.value("untrusted") == 0);
    CHECK(reasons.value("other") == 2);
}

TEST_CASE("a word is cut at 47 bytes", "[metrics]")
{
    labelled_counter<2> rules;
    rules.add(std::string(100, 'x'));
    rules.add(std::string(47, 'x') + "y");
    CHECK(rules.value(std::string(47, 'x')) == 2);
}

TEST_CASE("readers in other threads see whole words and no more than was counted", "[metrics]")
{
    static constexpr u64 bounds[] = {1, 2, 4};
    constexpr u64 rounds = 20'000;
    counter counted;
    histogram sizes{bounds};
    labelled_counter<32> words;
    std::atomic<bool> done = false;
    bool sound = true;
    std::thread reader{[&] {
        u64 last = 0;
        while (!done) {
            const u64 now = counted.value();
            sound = sound && now >= last && now <= rounds;
            last = now;
            sound = sound && sizes.values().count() <= rounds;
            words.for_each([&](std::string_view word, u64) {
                sound = sound && word.size() == 8 && word.starts_with("word_");
            });
        }
    }};
    for (u64 i = 0; i < rounds; ++i) {
        counted.add();
        sizes.observe(i % 6);
        words.add("word_" + std::to_string(100 + i / 1000));
    }
    done = true;
    reader.join();
    CHECK(sound);
    CHECK(counted.value() == rounds);
    CHECK(sizes.values().count() == rounds);
    CHECK(words.value("word_119") == 1000);
}

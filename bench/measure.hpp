#pragma once
// What the benchmark programs share: repeated timing, and one way to print it.

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <vector>

namespace bench {

/// Makes the compiler believe that somebody reads `value`.
template <class T>
void keep(const T& value)
{
    asm volatile("" : : "r"(&value) : "memory");
}

struct bounds {
    std::optional<double> limit;  // the program fails above it
    std::optional<double> goal;   // what it shall come to
};

/// Collects rows of one table.
class table {
public:
    explicit table(const char* title)
    {
        std::printf("%-46s %9s   %-19s %7s %7s\n", title, "median ns", "10 % to 90 %", "limit",
                    "goal");
    }

    /// Prints the median and the spread of one row's repetitions.
    void row(const char* name, std::vector<double> each, bounds wanted = {})
    {
        std::ranges::sort(each);
        const auto at = [&](double share) {
            return each[static_cast<std::size_t>(share * static_cast<double>(each.size() - 1))];
        };
        std::printf("  %-44s %9.1f   %7.1f to %7.1f", name, at(0.5), at(0.1), at(0.9));
        for (const auto& bound : {wanted.limit, wanted.goal})
            bound ? std::printf(" %7.0f", *bound) : std::printf(" %7s", "");
        const bool above = wanted.limit && at(0.5) > *wanted.limit;
        std::printf("%s\n", above ? "   ABOVE THE LIMIT" : "");
        std::fflush(stdout);
        kept_ = kept_ && !above;
    }

    /// 0, or 1 when a limit was missed: a program's exit status.
    int status() const { return kept_ ? 0 : 1; }

private:
    bool kept_ = true;
};

/// Tells the processor time of this thread, in nanoseconds: others may share the core.
inline double thread_time()
{
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

/// Gives the nanoseconds since `begin` for each of `count` repetitions.
inline double per_repeat(double begin, std::size_t count)
{
    return (thread_time() - begin) / static_cast<double>(count);
}

/// Times `repeats` calls of `work`, `rounds` times.
template <class Work>
std::vector<double> time(int rounds, std::size_t repeats, Work work)
{
    std::vector<double> each;
    for (int round = 0; round < rounds; ++round) {
        const double begin = thread_time();
        for (std::size_t i = 0; i < repeats; ++i)
            work();
        each.push_back(per_repeat(begin, repeats));
    }
    return each;
}

}  // namespace bench

// Plays scenarios under many seeds and prints those that find something, with the command that
// plays them again. Ends in "N passed, N failed"; one case is one scenario under one seed.
#include "scenarios.hpp"

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <unistd.h>

using namespace whence;
using namespace sim_tests;

namespace {

constexpr unsigned seconds_max = 60;  // of the real clock, for one play

// What is said when a play ends the process: it is ready before, as a signal handler allocates
// nothing.
char last_words[512];

std::string complaint(const scenario& one, u64 seed, const std::string& wrong)
{
    const std::string number = std::to_string(seed);
    return std::string{"FAILED  "} + one.name + ", seed " + number + ": " + wrong +
           "\n        ./dev sim --scenario " + one.name + " --seed " + number +
           " --seeds 1 --trace\n";
}

/// Has a check that fails, a wrong access and a play without an end name their seed, too.
void tell_last_words()
{
    struct sigaction tell{};
    tell.sa_handler = [](int signal) {
        [[maybe_unused]] const auto told = ::write(STDOUT_FILENO, last_words, strlen(last_words));
        ::raise(signal);
    };
    tell.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM})
        ::sigaction(signal, &tell, nullptr);
}

/// Plays once. Gives the digest of all that happened on the network.
u64 play(const scenario& one, u64 seed, bool trace)
{
    const weather today = weather_of(seed);
    sim::world world{{.seed = seed, .network = today.network}};
    if (trace)
        world.set_trace([](std::string_view line) {
            std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
        });
    one.play(world, today);
    return world.digest();
}

/// Plays a seed; every sixteenth twice: the same must happen. Gives what was wrong.
std::string outcome_of(const scenario& one, u64 seed, bool trace)
{
    constexpr u64 twice_every = 16;
    const std::string words = complaint(one, seed, "it ended the process, or ran for ever");
    std::snprintf(last_words, sizeof last_words, "%s", words.c_str());
    ::alarm(seconds_max);
    try {
        const u64 digest = play(one, seed, trace);
        if (seed % twice_every == 0 && play(one, seed, false) != digest)
            return "the same seed was another run";
        return {};
    } catch (const std::exception& error) {
        return error.what();
    }
}

}  // namespace

int main(int count, char** arguments)
{
    u64 first = 1;
    u64 seeds = 300;
    std::string wanted;
    bool trace = false;
    CLI::App app{"Plays servers and clients in simulated worlds."};
    app.add_option("--seed", first, "The first seed")->capture_default_str();
    app.add_option("--seeds", seeds, "How many of them")->capture_default_str();
    app.add_option("--scenario,scenario", wanted, "Part of a scenario's name (all)");
    app.add_flag("--trace", trace, "Print what happens on the network");
    CLI11_PARSE(app, count, arguments);
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    tell_last_words();
    u64 passed = 0;
    u64 failed = 0;
    for (const scenario& one : all_scenarios()) {
        if (std::string_view{one.name}.find(wanted) == std::string_view::npos)
            continue;
        for (u64 seed = first; seed < first + seeds; ++seed) {
            const std::string wrong = outcome_of(one, seed, trace);
            ++(wrong.empty() ? passed : failed);
            if (!wrong.empty())
                std::printf("%s", complaint(one, seed, wrong).c_str());
        }
    }
    std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(passed),
                static_cast<unsigned long long>(failed));
    return failed == 0 ? 0 : 1;
}

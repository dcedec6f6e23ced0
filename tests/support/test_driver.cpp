#include "support/test_driver.hpp"

#include <whence/sim/world.hpp>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

using namespace whence;

namespace support {

namespace {

std::string test_driver_name()
{
    const char* const name = std::getenv("WHENCE_TEST_DRIVER");
    return name ? name : "auto";
}

}  // namespace

driver_choice test_driver()
{
    const auto choice = parse_driver_choice(test_driver_name());
    if (!choice)
        throw std::runtime_error("WHENCE_TEST_DRIVER=" + test_driver_name() + " is no driver");
    return *choice;
}

std::unique_ptr<driver> open_test_driver(const driver_options& options)
{
    // As gentle as loopback: tests of single calls expect a small message in one piece.
    if (test_driver_name() == "sim")
        return sim::open_driver(
            {.network = {.latency_min = 0ns, .latency_max = 0ns, .cut_chance = 0}},
            {.io = options, .late_cancel_chance = 0});
    return open_driver(test_driver(), options);
}

std::vector<std::string> on_test_driver(std::vector<std::string> command)
{
    const bool named = std::find(command.begin(), command.end(), "--driver") != command.end();
    if (!named && test_driver() != driver_choice::automatic)
        command.insert(command.end(), {"--driver", test_driver_name()});
    return command;
}

}  // namespace support

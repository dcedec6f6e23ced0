#include "time_options.hpp"

#include "parsed_option.hpp"

#include <whence/base/text.hpp>

namespace examples {

using namespace whence;

namespace {

/// Reads a bound for a time; zero: none.
result<nanoseconds, std::string> parse_time_max(std::string_view text)
{
    if (text == "off")
        return nanoseconds::zero();
    auto parsed = parse_duration(text);
    if (parsed && *parsed <= nanoseconds::zero())
        return whence::quoted(text) + ": no time; \"off\" sets no limit";
    return parsed;
}

}  // namespace

void add_time_options(CLI::App& app, time_options& options)
{
    add_parsed(app, "--idle-time-max", options.idle_time_max, parse_time_max,
               "How long a connection may be silent in both directions (off)")
        ->type_name("TIME");
    add_parsed(app, "--write-time-max", options.write_time_max, parse_time_max,
               "How long a peer may take nothing of what is written to it, or off (30s)")
        ->type_name("TIME");
}

}  // namespace examples

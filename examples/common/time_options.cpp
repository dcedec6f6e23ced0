#include "time_options.hpp"

#include <whence/base/text.hpp>

#include <CLI/CLI.hpp>

#include <string>

namespace examples {

using namespace whence;

namespace {

void add_time(CLI::App& app, const std::string& name, nanoseconds& target, const std::string& help)
{
    app.add_option_function<std::string>(
           name,
           [name, &target](const std::string& text) {
               if (text == "off") {
                   target = nanoseconds::zero();
                   return;
               }
               const auto parsed = parse_duration(text);
               if (!parsed)
                   throw CLI::ValidationError(name, parsed.error());
               if (*parsed <= nanoseconds::zero())
                   throw CLI::ValidationError(name,
                                              "\"" + text + "\": no time; \"off\" sets no limit");
               target = *parsed;
           },
           help)
        ->type_name("TIME");
}

}  // namespace

void add_time_options(CLI::App& app, time_options& options)
{
    add_time(app, "--idle-time-max", options.idle_time_max,
             "How long a connection may be silent in both directions (off)");
    add_time(app, "--write-time-max", options.write_time_max,
             "How long a peer may take nothing of what is written to it, or off (30s)");
}

}  // namespace examples

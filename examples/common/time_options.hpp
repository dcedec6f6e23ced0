#pragma once

#include <whence/middleware/time_limits.hpp>

#include <CLI/CLI.hpp>

namespace examples {

/// Holds the defaults of the options: a write has half a minute to make progress, and silence is
/// allowed; what is quiet by nature (a push channel, a game's lobby) is the server's to know.
struct time_options : whence::time_limit_options {
    time_options() noexcept { write_time_max = whence::seconds{30}; }
};

/// Adds --idle-time-max and --write-time-max; "off" sets no limit.
/// shape: `options` outlives the parsing. `time_limits{options}` is the layer.
void add_time_options(CLI::App& app, time_options& options);

}  // namespace examples

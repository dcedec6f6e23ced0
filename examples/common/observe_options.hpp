#pragma once

#include <whence/whence.hpp>

#include <CLI/CLI.hpp>

#include <optional>

namespace examples {

/// Holds what the examples offer to whoever watches them.
struct observe_options {
    std::optional<whence::endpoint> metrics;  // none: no endpoint
};

/// Adds --metrics ADDRESS to a command line; `into` outlives its parsing.
void add_observe_options(CLI::App& app, observe_options& into);

/// Runs `work` with the status endpoint beside it, until `work` has ended; says where it is,
/// {"event":"metrics","address":...} on stdout, before `work` starts.
/// errors: std::system_error when the address cannot be had; what `work` throws.
whence::task<> with_status_endpoint(observe_options options, whence::task<> work);

}  // namespace examples

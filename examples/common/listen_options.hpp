#pragma once

#include <whence/whence.hpp>

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace examples {

/// Holds where a server listens, and how.
struct listen_arguments {
    std::vector<whence::endpoint> addresses;
    std::vector<std::string> activated;  // names of systemd's sockets; an empty one: all of them
    whence::listen_options options;

    bool empty() const noexcept { return addresses.empty() && activated.empty(); }
};

/// Adds --listen, and the options of the sockets that it opens.
/// limits: `into` lives until the command line has been parsed.
void add_listen_options(CLI::App& app, listen_arguments& into);

/// Opens the listeners, those of systemd's socket activation first.
/// limits: once, before there are other threads.
/// errors: std::exception, when an address cannot be had or systemd has handed no such socket over.
std::vector<whence::listener> open_listeners(const listen_arguments& from);

}  // namespace examples

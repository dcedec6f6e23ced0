#pragma once

#include "listen_options.hpp"
#include "observe_options.hpp"

#include <whence/whence.hpp>

#include <string>
#include <vector>

namespace examples {

/// Holds the options that every example server shares.
struct server_options {
    listen_arguments listen;
    std::vector<std::string> trust;  // empty: no header gate
    bool untrusted_direct = false;
    whence::proxy_protocol::header_limits header;
    whence::log_stream access_log = whence::log_stream::standard_error;
    whence::serve_options serve;
    observe_options observe;
};

/// Reads the command line. Ends the program for --help (status 0) and for a bad command line
/// (status 2, the option's name on stderr).
server_options parse_command_line(int count, char** arguments, const std::string& description);

/// Opens the listeners and prints a line for each, {"event":"listening","address":...}, with the
/// real port.
std::vector<whence::listener> open_listeners(const server_options& options);

/// Puts the layers that the options ask for in front of a handler.
template <whence::handler Handler>
std::unique_ptr<const whence::application> with_layers(const server_options& options,
                                                       Handler handler)
{
    using namespace whence;
    if (options.trust.empty())
        return make_application(pipeline(access_log{options.access_log}, handler));
    proxy_protocol::trust_table trust{options.trust};
    if (options.untrusted_direct)
        trust.others(proxy_protocol::trust_outcome::direct);
    return make_application(
        pipeline(proxy_protocol::accept({.trust = trust, .header = options.header}),
                 access_log{options.access_log}, handler));
}

/// Runs a server with the shared options, from the command line to the exit status.
template <whence::handler Handler>
int run_server(int count, char** arguments, const std::string& description, Handler handler)
{
    const server_options options = parse_command_line(count, arguments, description);
    return whence::run([](const server_options& with, Handler last) -> whence::task<> {
        auto serving = whence::serve(open_listeners(with), with_layers(with, last), with.serve);
        auto watched = with_status_endpoint(with.observe, std::move(serving));
        co_await watched;
    }(options, handler));
}

}  // namespace examples

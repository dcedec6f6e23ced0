#pragma once

#include "limit_options.hpp"
#include "listen_options.hpp"
#include "observe_options.hpp"
#include "time_options.hpp"

#include <whence/whence.hpp>

#include <string>
#include <vector>

namespace examples {

/// Holds the options that every example server shares.
struct server_options {
    listen_arguments listen;
    std::vector<std::string> trust;  // empty: no header gate
    bool untrusted_direct = false;
    bool refuse_local_claims = false;
    whence::proxy_protocol::header_limits header;
    limit_options limits;
    time_options times;
    whence::log_stream access_log = whence::log_stream::standard_error;
    whence::serve_options serve;
    whence::runtime_options runtimes;
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
                                                       const limit_gates& limits, Handler handler)
{
    using namespace whence;
    const access_log log{options.access_log};
    const time_limits times{options.times};
    if (options.trust.empty())
        return make_application(
            pipeline(limits, proxy_protocol::expect_no_header{}, log, times, handler));
    proxy_protocol::trust_table trust{options.trust};
    if (options.untrusted_direct)
        trust.others(proxy_protocol::trust_outcome::direct);
    proxy_protocol::accept_options header{.trust = trust, .header = options.header};
    if (options.refuse_local_claims)
        header.veto = proxy_protocol::refuse_local_claims;
    return make_application(
        pipeline(proxy_protocol::accept{std::move(header)}, limits, log, times, handler));
}

/// Serves as the options say, with what belongs to a server beside it: reloading, the status
/// endpoint.
template <whence::handler Handler>
whence::task<> serve_as_asked(const server_options& options, Handler handler)
{
    const limit_gates limits{options.limits};
    auto serving = whence::serve(open_listeners(options), with_layers(options, limits, handler),
                                 options.serve);
    auto watched = with_status_endpoint(options.observe, std::move(serving));
    auto until_served = whence::race(std::move(watched), reload_on_hangup(limits.lists_of_files()));
    co_await until_served;
}

/// Runs a server with the shared options, from the command line to the exit status.
template <whence::handler Handler>
int run_server(int count, char** arguments, const std::string& description, Handler handler)
{
    const server_options options = parse_command_line(count, arguments, description);
    return whence::run(serve_as_asked(options, handler), options.runtimes);
}

}  // namespace examples

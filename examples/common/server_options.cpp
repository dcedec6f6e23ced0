#include "server_options.hpp"

#include "parsed_option.hpp"

#include <whence/base/text.hpp>

#include <cstdio>
#include <cstdlib>

namespace examples {

using namespace whence;

namespace {

constexpr int usage_error = 2;

result<u32, std::string> parse_header_size(std::string_view text)
{
    // The length field of version 2 has 16 bits.
    constexpr u64 announced_max = 65'535;
    auto size = parse_size(text);
    if (!size)
        return size.error();
    if (*size > announced_max)
        return "\"" + std::string{text} + "\": at most 65535";
    return static_cast<u32>(*size);
}

void check_trust(const std::vector<std::string>& entries)
{
    try {
        if (!entries.empty())
            proxy_protocol::trust_table{entries};
    } catch (const std::invalid_argument& error) {
        throw CLI::ValidationError("--trust", error.what());
    }
}

void add_runtime_options(CLI::App& app, server_options& options)
{
    app.add_option_function<std::string>(
           "--driver",
           [&options](const std::string& name) {
               options.runtimes.driver = *parse_driver_choice(name);
           },
           "What carries operations out: io_uring, asio, or auto, which is asio only where the "
           "machine has no io_uring to give (auto)")
        ->check(CLI::IsMember({"auto", "io_uring", "asio"}));
    app.add_option("--threads", options.runtimes.threads,
                   "Runtimes, one thread each; 0: as many as the process may use CPUs")
        ->check(CLI::Range(0, 1024))
        ->capture_default_str();
    app.add_flag("--pin", options.runtimes.pin, "Keep each thread on a CPU of its own");
    app.add_option_function<std::string>(
           "--spread",
           [&options](const std::string& how) {
               if (how == "reuse-port") {
                   options.serve.spread = spread::reuse_port;
                   options.listen.options.reuse_port = true;
               }
           },
           "How threads get connections: balanced, to the one that has the fewest; reuse-port, "
           "each from a listening socket of its own (balanced)")
        ->check(CLI::IsMember({"balanced", "reuse-port"}));
}

}  // namespace

server_options parse_command_line(int count, char** arguments, const std::string& description)
{
    server_options options;
    CLI::App app{description};
    add_listen_options(app, options.listen);
    app.add_option("--trust", options.trust,
                   "Network, address or unix:uid=N that must send a PROXY header; repeatable. "
                   "None: no header is read, everyone is served directly")
        ->type_name("WHO")
        ->expected(1)
        ->take_all();
    std::string untrusted = "refuse";
    app.add_option("--untrusted", untrusted,
                   "With --trust, everyone else: refuse, or serve direct without looking for a "
                   "header")
        ->check(CLI::IsMember({"refuse", "direct"}))
        ->capture_default_str();
    app.add_flag("--refuse-local-claims", options.refuse_local_claims,
                 "Refuse a header that names a loopback, unspecified or multicast address, or our "
                 "own, as the client");
    add_parsed(app, "--header-time-max", options.header.time_max, parse_duration,
               "How long a header may take, from the accept (5s)")
        ->type_name("TIME");
    add_parsed(app, "--header-size-max", options.header.size_max, parse_header_size,
               "Bytes of a header behind its fixed part (4096)")
        ->type_name("BYTES");
    add_parsed(app, "--drain-delay", options.serve.drain_delay, parse_duration,
               "How long to go on accepting after SIGTERM, while /readyz says 503 (0s)")
        ->type_name("TIME");
    add_parsed(app, "--drain-time-max", options.serve.drain_time_max, parse_duration,
               "How long sessions may go on after that (5s)")
        ->type_name("TIME");
    add_limit_options(app, options.limits);
    add_time_options(app, options.times);
    add_runtime_options(app, options);
    std::string access_log = "stderr";
    app.add_option("--access-log", access_log, "Where a line per connection goes")
        ->check(CLI::IsMember({"stderr", "stdout", "off"}))
        ->capture_default_str();
    add_observe_options(app, options.observe);
    try {
        app.parse(count, arguments);
        check_trust(options.trust);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error) == 0 ? 0 : usage_error);
    }
    if (options.listen.empty())
        options.listen.addresses.push_back(*endpoint::parse("127.0.0.1:7000"));
    options.untrusted_direct = untrusted == "direct";
    if (access_log != "stderr")
        options.access_log = access_log == "off" ? log_stream::none : log_stream::standard_output;
    return options;
}

std::vector<listener> open_listeners(const server_options& options)
{
    std::vector<listener> listeners = open_listeners(options.listen);
    for (const listener& opened : listeners) {
        const std::string line = json_line("listening").add("address", opened.local()).text();
        std::printf("%s\n", line.c_str());
    }
    std::fflush(stdout);
    return listeners;
}

}  // namespace examples

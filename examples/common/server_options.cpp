#include "server_options.hpp"

#include <whence/base/text.hpp>

#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>

namespace examples {

using namespace whence;

namespace {

constexpr int usage_error = 2;

/// Adds an option whose text `parse` turns into `target`; what it says of bad text is shown.
template <class T, class Parse>
CLI::Option* add_parsed(CLI::App& app, const std::string& name, T& target, Parse parse,
                        const std::string& help)
{
    return app.add_option_function<std::string>(
        name,
        [name, &target, parse](const std::string& text) {
            auto parsed = parse(text);
            if (!parsed)
                throw CLI::ValidationError(name, parsed.error());
            target = *parsed;
        },
        help);
}

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

}  // namespace

server_options parse_command_line(int count, char** arguments, const std::string& description)
{
    server_options options;
    CLI::App app{description};
    app.add_option_function<std::vector<std::string>>(
           "--listen",
           [&options](const std::vector<std::string>& texts) {
               for (const std::string& text : texts) {
                   auto parsed = endpoint::parse(text);
                   if (!parsed)
                       throw CLI::ValidationError("--listen", parsed.error());
                   options.listen.push_back(*parsed);
               }
           },
           "Address to serve at, 127.0.0.1:7000 unless given; port 0: any free one; repeatable")
        ->type_name("ADDRESS")
        ->expected(1)
        ->take_all();
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
    add_parsed(app, "--header-time-max", options.header.time_max, parse_duration,
               "How long a header may take, from the accept (5s)")
        ->type_name("TIME");
    add_parsed(app, "--header-size-max", options.header.size_max, parse_header_size,
               "Bytes of a header behind its fixed part (4096)")
        ->type_name("BYTES");
    add_parsed(app, "--drain-time-max", options.serve.drain_time_max, parse_duration,
               "How long sessions may go on after SIGTERM (5s)")
        ->type_name("TIME");
    int threads = 1;
    app.add_option("--threads", threads, "Runtimes; this version serves with one")
        ->check(CLI::Range(1, 1))
        ->capture_default_str();
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
        options.listen.push_back(*endpoint::parse("127.0.0.1:7000"));
    options.untrusted_direct = untrusted == "direct";
    if (access_log != "stderr")
        options.access_log = access_log == "off" ? log_stream::none : log_stream::standard_output;
    return options;
}

std::vector<listener> open_listeners(const server_options& options)
{
    std::vector<listener> listeners;
    listeners.reserve(options.listen.size());
    for (const endpoint& at : options.listen)
        listeners.push_back(listener::bind(at));
    for (const listener& opened : listeners) {
        const std::string line = json_line("listening").add("address", opened.local()).text();
        std::printf("%s\n", line.c_str());
    }
    std::fflush(stdout);
    return listeners;
}

}  // namespace examples

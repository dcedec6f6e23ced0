#include "limit_options.hpp"

#include <whence/base/text.hpp>

#include <CLI/CLI.hpp>

#include <stdexcept>

namespace examples {

using namespace whence;

namespace {

void add_number(CLI::App& app, const std::string& name, u32& target, const std::string& help)
{
    app.add_option(name, target, help)
        ->check(CLI::Range(u32{1}, client_limits_options::unlimited))
        ->type_name("N");
}

void add_prefix(CLI::App& app, const std::string& name, u8& target, int bits_max,
                const std::string& help)
{
    app.add_option_function<int>(
           name, [&target](const int& bits) { target = static_cast<u8>(bits); }, help)
        ->check(CLI::Range(0, bits_max))
        ->type_name("BITS");
}

void add_clients(CLI::App& app, const std::string& name, std::vector<std::string>& target,
                 const std::string& help)
{
    app.add_option_function<std::vector<std::string>>(
           name,
           [name, &target](const std::vector<std::string>& entries) {
               try {
                   target = entries;
                   client_list{entries};
               } catch (const std::invalid_argument& error) {
                   throw CLI::ValidationError(name, error.what());
               }
           },
           help)
        ->type_name("WHO")
        ->expected(1)
        ->take_all();
}

/// Reads "10" or "10/50": so many a second, and so many at once.
void read_rate(const std::string& text, client_limits_options& into)
{
    constexpr u64 number_max = client_limits_options::unlimited - 1;
    const std::size_t slash = std::min(text.find('/'), text.size());
    const auto rate = parse_number(std::string_view{text}.substr(0, slash), number_max);
    if (!rate)
        throw CLI::ValidationError("--client-rate-max", rate.error());
    into.new_per_second_max = static_cast<u32>(*rate);
    into.new_burst_max = 0;
    if (slash != text.size()) {
        const auto burst = parse_number(std::string_view{text}.substr(slash + 1), number_max);
        if (!burst)
            throw CLI::ValidationError("--client-rate-max", "burst " + burst.error());
        into.new_burst_max = static_cast<u32>(*burst);
    }
    if (*rate == 0 || (slash != text.size() && into.new_burst_max == 0))
        throw CLI::ValidationError("--client-rate-max",
                                   whence::quoted(text) + ": nobody would be served");
}

/// Refuses an empty name, such as a unit's variable that nobody set: it would mean "no list".
std::string is_named(const std::string& path)
{
    return path.empty() ? "no file is named" : "";
}

std::optional<client_list> list_of(const std::vector<std::string>& entries, const std::string& file)
{
    if (!file.empty())
        return client_list::load(file, entries);
    if (!entries.empty())
        return client_list{entries};
    return std::nullopt;
}

}  // namespace

void add_limit_options(CLI::App& app, limit_options& options)
{
    add_number(app, "--connections-max", options.all.connections_max,
               "Connections at once, behind the header (65536)");
    add_number(app, "--client-connections-max", options.client.connections_per_client_max,
               "Connections at once of one client; none given: no limit");
    app.add_option_function<std::string>(
           "--client-rate-max",
           [&options](const std::string& text) { read_rate(text, options.client); },
           "New connections a second of one client, and how many at once (those of a second); "
           "none given: no limit")
        ->type_name("N[/BURST]");
    add_prefix(app, "--client-prefix-v4", options.client.ipv4_prefix, 32,
               "Leading bits of an IPv4 address that make a client (32)");
    add_prefix(app, "--client-prefix-v6", options.client.ipv6_prefix, 128,
               "Leading bits of an IPv6 address that make a client (64)");
    add_number(
        app, "--local-connections-max", options.client.local_max,
        "With a limit for clients: connections at once of the trusted proxies themselves, such "
        "as health checks (1024)");
    add_number(app, "--unknown-connections-max", options.client.unknown_max,
               "With a limit for clients: connections at once of all whose address nobody knows "
               "(1024)");
    add_clients(app, "--allow", options.allow,
                "Network, address or unix:uid=N to serve, and nobody else; repeatable");
    add_clients(app, "--deny", options.deny,
                "Network, address or unix:uid=N not to serve; repeatable");
    app.add_option("--allow-file", options.allow_file,
                   "File with one --allow a line; read again on SIGHUP")
        ->check(is_named)
        ->type_name("PATH");
    app.add_option("--deny-file", options.deny_file,
                   "File with one --deny a line; read again on SIGHUP")
        ->check(is_named)
        ->type_name("PATH");
    app.add_flag("--allow-local", options.allow_local,
                 "With --allow, also the trusted proxies' own connections (health checks)");
}

limit_gates::limit_gates(const limit_options& options)
    : allowed_(list_of(options.allow, options.allow_file)),
      denied_(list_of(options.deny, options.deny_file)), all_(options.all)
{
    if (allowed_ && allowed_->size() == 0 && !options.allow_local)
        throw std::runtime_error(options.allow_file + ": lists no client, so nobody is served");
    if (allowed_)
        allow_.emplace(*allowed_, options.allow_local);
    if (denied_)
        deny_.emplace(*denied_);
    constexpr u32 unlimited = client_limits_options::unlimited;
    if (options.client.connections_per_client_max != unlimited ||
        options.client.new_per_second_max != unlimited)
        each_.emplace(options.client);
}

task<verdict> limit_gates::operator()(connection& conn) const
{
    if (deny_) {
        verdict answer = co_await (*deny_)(conn);
        if (!answer.passed())
            co_return answer;
    }
    if (allow_) {
        verdict answer = co_await (*allow_)(conn);
        if (!answer.passed())
            co_return answer;
    }
    if (each_) {
        verdict answer = co_await (*each_)(conn);
        if (!answer.passed())
            co_return answer;
    }
    verdict answer = co_await all_(conn);
    co_return answer;
}

std::vector<client_list> limit_gates::lists_of_files() const
{
    std::vector<client_list> lists;
    for (const auto& list : {allowed_, denied_})
        if (list && !list->path().empty())
            lists.push_back(*list);
    return lists;
}

task<> reload_on_hangup(std::vector<client_list> lists)
{
    runtime& here = runtime::current();
    for (;;) {
        co_await here.hangup().wait();
        here.hangup().reset();
        for (client_list& list : lists) {
            const auto entries = list.reload();
            json_object line = json_line(entries ? "reloaded" : "reload_failed");
            line.add("file", list.path());
            if (entries)
                line.add("entries", u64{*entries});
            else
                line.add("error", entries.error());
            here.errors().line(line.text());
        }
    }
}

}  // namespace examples

#include "listen_options.hpp"

#include "parsed_option.hpp"

#include <whence/base/text.hpp>

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace examples {

using namespace whence;

namespace {

constexpr std::string_view systemd = "systemd";

void add_listen_address(const std::string& text, listen_arguments& into)
{
    const std::string_view view = text;
    if (view == systemd) {
        into.activated.emplace_back();
    } else if (view.starts_with(systemd) && view.substr(systemd.size()).starts_with(':')) {
        into.activated.push_back(text.substr(systemd.size() + 1));
        if (into.activated.back().empty())
            throw CLI::ValidationError("--listen",
                                       whence::quoted(text) + ": a name expected after ':'");
    } else {
        auto parsed = endpoint::parse(text);
        if (!parsed)
            throw CLI::ValidationError("--listen", parsed.error());
        into.addresses.push_back(*parsed);
    }
}

result<u32, std::string> parse_mode(std::string_view text)
{
    const bool digits = !text.empty() && text.size() <= 4 &&
                        text.find_first_not_of("01234567") == std::string_view::npos;
    u32 mode = 0;
    for (const char digit : text)
        mode = mode * 8 + static_cast<u32>(digit - '0');
    if (!digits || mode > 0777)
        return whence::quoted(text) + ": an octal number up to 0777 expected";
    return mode;
}

result<u32, std::string> parse_count(std::string_view text)
{
    const auto number = parse_number(text, std::numeric_limits<int>::max());
    if (!number)
        return number.error();
    return static_cast<u32>(*number);
}

result<u32, std::string> parse_buffer_size(std::string_view text)
{
    constexpr u64 size_max = 1u << 30;  // the kernel doubles it, in an int
    const auto size = parse_size(text);
    if (!size)
        return size.error();
    if (*size > size_max)
        return whence::quoted(text) + ": at most 1GiB";
    return static_cast<u32>(*size);
}

/// Reads IDLE[,INTERVAL[,COUNT]]; what is left out stays as it is.
result<keep_alive_options, std::string> parse_keep_alive(std::string_view text)
{
    keep_alive_options parsed;
    nanoseconds* const times[]{&parsed.idle, &parsed.interval};
    std::size_t begin = 0;
    for (std::size_t i = 0; begin <= text.size(); ++i) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        const std::string_view part = text.substr(begin, end - begin);
        begin = end + 1;
        if (i > 2)
            return whence::quoted(text) + ": more than IDLE,INTERVAL,COUNT";
        if (i == 2) {
            const auto count = parse_count(part);
            if (!count)
                return count.error();
            parsed.count = *count;
        } else {
            const auto time = parse_duration(part);
            if (!time)
                return time.error();
            *times[i] = *time;
        }
    }
    return parsed;
}

/// Finds the number of a user or group, by name or as a number.
template <class Find, class Number>
u32 id_of(const std::string& name, const char* what, Find find, Number number)
{
    if (const auto* known = find(name.c_str()))
        return known->*number;
    // The highest number means "none" in chown().
    const auto given = parse_number(name, std::numeric_limits<u32>::max() - 1);
    if (!given)
        throw CLI::ValidationError("--unix-owner",
                                   std::string{"no "} + what + ' ' + whence::quoted(name));
    return static_cast<u32>(*given);
}

void set_owner(const std::string& text, listen_options& options)
{
    const std::size_t colon = std::min(text.find(':'), text.size());
    const std::string user = text.substr(0, colon);
    if (!user.empty())
        options.unix_owner = id_of(user, "user", getpwnam, &passwd::pw_uid);
    if (colon < text.size())
        options.unix_group = id_of(text.substr(colon + 1), "group", getgrnam, &group::gr_gid);
    else if (user.empty())
        throw CLI::ValidationError("--unix-owner", "USER, USER:GROUP or :GROUP expected");
}

void add_socket_options(CLI::App& app, listen_options& options)
{
    app.add_option("--backlog", options.backlog, "Connections that wait for their accept")
        ->check(CLI::Range(1, std::numeric_limits<int>::max()))
        ->capture_default_str();
    app.add_flag("--v6-only", options.v6_only, "[::] does not serve IPv4");
    app.add_flag("--reuse-port", options.reuse_port, "Share the port with other listeners");
    add_parsed(app, "--keep-alive", options.keep_alive, parse_keep_alive,
               "Probe silent peers: after how long, how often, how many times without an answer "
               "(60s,15s,4); 0s: never")
        ->type_name("IDLE[,INTERVAL[,COUNT]]");
    add_parsed(app, "--user-timeout", options.user_timeout, parse_duration,
               "Give up a peer that does not acknowledge what was sent for so long (the kernel's)")
        ->type_name("TIME");
    add_parsed(app, "--defer-accept", options.defer_accept, parse_duration,
               "Accept when the client has spoken, or after about this time (off)")
        ->type_name("TIME");
    add_parsed(app, "--fast-open", options.fast_open, parse_count,
               "Take data in the SYN, from so many clients at a time (off)")
        ->type_name("COUNT");
    add_parsed(app, "--receive-buffer", options.receive_buffer, parse_buffer_size,
               "The kernel's buffer per connection (it tunes that itself)")
        ->type_name("BYTES");
    add_parsed(app, "--send-buffer", options.send_buffer, parse_buffer_size,
               "The same for what is sent")
        ->type_name("BYTES");
}

std::string names_of(const std::vector<activated_listener>& given)
{
    std::string list;
    for (const activated_listener& each : given)
        list += (list.empty() ? "" : ", ") + whence::quoted(each.name);
    return list.empty() ? "none" : list;
}

void take_activated(const listen_arguments& from, std::vector<listener>& into)
{
    std::vector<activated_listener> given = take_activated_listeners(from.options);
    for (const std::string& name : from.activated) {
        const bool found =
            name.empty() ? !given.empty()
                         : std::ranges::find(given, name, &activated_listener::name) != given.end();
        if (!found)
            throw std::runtime_error(
                "--listen systemd" + (name.empty() ? "" : ':' + name) +
                ": no such socket from a .socket unit; there are: " + names_of(given));
    }
    for (activated_listener& each : given) {
        const bool wanted = std::ranges::any_of(from.activated, [&](const std::string& name) {
            return name.empty() || name == each.name;
        });
        if (wanted)
            into.push_back(std::move(each.at));
    }
}

}  // namespace

void add_listen_options(CLI::App& app, listen_arguments& into)
{
    app.add_option_function<std::vector<std::string>>(
           "--listen",
           [&into](const std::vector<std::string>& texts) {
               for (const std::string& text : texts)
                   add_listen_address(text, into);
           },
           "Where to serve, 127.0.0.1:7000 unless given: ADDRESS:PORT (port 0: any free one), "
           "unix:/PATH, unix:@NAME, or systemd[:NAME] for the sockets of its .socket units; "
           "repeatable")
        ->type_name("ADDRESS")
        ->expected(1)
        ->take_all();
    add_parsed(app, "--unix-mode", into.options.unix_mode, parse_mode,
               "Who may connect to unix:/PATH (0660)")
        ->type_name("MODE");
    app.add_option_function<std::string>(
           "--unix-owner", [&into](const std::string& text) { set_owner(text, into.options); },
           "Whom unix:/PATH is given to, by names or numbers; :GROUP alone is enough for a proxy")
        ->type_name("USER[:GROUP]");
    add_socket_options(app, into.options);
}

std::vector<listener> open_listeners(const listen_arguments& from)
{
    std::vector<listener> listeners;
    if (!from.activated.empty())
        take_activated(from, listeners);
    for (const endpoint& at : from.addresses)
        listeners.push_back(listener::bind(at, from.options));
    return listeners;
}

}  // namespace examples

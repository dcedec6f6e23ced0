#include "programs/whoami_server.hpp"

#include "support/test_driver.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace support {

using nlohmann::json;

namespace {

std::vector<std::string> command_of(const std::string& example,
                                    const std::vector<std::string>& options)
{
    std::vector<std::string> command{example};
    if (std::find(options.begin(), options.end(), "--listen") == options.end())
        command.insert(command.end(), {"--listen", "127.0.0.1:0"});
    command.insert(command.end(), options.begin(), options.end());
    return on_test_driver(std::move(command));
}

}  // namespace

whoami_server::whoami_server(std::vector<std::string> options, const process_options& streams,
                             const std::string& example)
    : program_(command_of(example, options), streams)
{
    const auto named = std::count(options.begin(), options.end(), "--listen");
    const std::size_t wanted = std::max<std::size_t>(1, static_cast<std::size_t>(named));
    const auto is_last = [this, wanted](const std::string& line) {
        const json said = json::parse(line, nullptr, false);
        if (said.is_object() && said.value("event", "") == "listening")
            addresses_.push_back(said.at("address"));
        return addresses_.size() == wanted;
    };
    if (!program_.wait_for_output(is_last))
        throw std::runtime_error(example + " did not start: " + program_.errors_text());
}

std::string whoami_server::refusal_of(const std::string& who, milliseconds time_max)
{
    const auto line = program_.wait_for_error(
        holds({R"("event":"refused")", R"("peer":")" + who + '"'}), time_max);
    return line ? json::parse(*line).at("reason").get<std::string>() : "";
}

bool whoami_server::stops_listening()
{
    const auto until = std::chrono::steady_clock::now() + step_time_max;
    while (std::chrono::steady_clock::now() < until) {
        try {
            const client another{address()};
        } catch (const std::system_error& error) {
            // Anything else: it was closed while this one was under way.
            if (error.code() == std::errc::connection_refused)
                return true;
        }
        if (program_.wait_for_exit(milliseconds{2}))
            return true;
    }
    return false;
}

std::size_t whoami_server::count_of(const std::string& event) const
{
    const auto lines = program_.error_lines();
    return static_cast<std::size_t>(
        std::count_if(lines.begin(), lines.end(), holds({R"("event":")" + event + '"'})));
}

std::vector<std::string> trusting(std::vector<std::string> more)
{
    more.insert(more.begin(), {"--trust", "127.0.0.1"});
    return more;
}

conversation converse(client& with, std::string_view bytes)
{
    with.send(bytes);
    with.finish();
    return read_conversation(with);
}

conversation read_conversation(client& with, milliseconds time_max)
{
    received all = with.read_to_end(time_max);
    const std::size_t end = all.bytes.find('\n');
    if (end == std::string::npos)
        return {nullptr, std::move(all.bytes), all.how};
    return {json::parse(all.bytes.substr(0, end)), all.bytes.substr(end + 1), all.how};
}

std::string header_of(const std::string& client)
{
    const std::size_t colon = client.find(':');
    return "PROXY TCP4 " + client.substr(0, colon) + " 198.51.100.1 " + client.substr(colon + 1) +
           " 443\r\n";
}

client open_session(const std::string& address, const std::string& who)
{
    client session{address};
    session.send(header_of(who));
    const std::string line = session.read_line();
    const json said = json::parse(line, nullptr, false);
    if (!said.is_object() || said.value("client", "") != who)
        throw std::runtime_error("no session for " + who + ": '" + line + "'");
    return session;
}

std::vector<client> open_sessions(const std::string& address, std::size_t count)
{
    std::vector<client> sessions;
    for (std::size_t i = 0; i < count; ++i)
        sessions.push_back(open_session(address, client_name(i)));
    return sessions;
}

std::string client_name(std::size_t i)
{
    return "10.0." + std::to_string(i / 256) + '.' + std::to_string(i % 256) + ":1024";
}

std::string fault_of_an_echo(client& with, milliseconds time_max)
{
    with.send("ping");
    const std::string answer = with.read_exactly(4, time_max);
    return answer == "ping" ? "" : "'" + answer + "'";
}

std::string fault_of_a_good_answer(const std::string& address, milliseconds time_max)
{
    const auto begin = std::chrono::steady_clock::now();
    client good{address};
    good.send(std::string{good_header} + "ping");
    good.finish();
    const conversation said = read_conversation(good, time_max);
    const auto taken =
        std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
    if (taken <= time_max && said.how == ending::closed && said.echo == "ping" &&
        said.answer.is_object() && said.answer.value("client", "") == good_client)
        return "";
    constexpr std::array endings{"closed", "reset", "timed out", "kept open"};
    return said.answer.dump() + " echo '" + said.echo + "' " +
           endings.at(static_cast<std::size_t>(said.how)) + " after " +
           std::to_string(taken.count()) + " ms";
}

}  // namespace support

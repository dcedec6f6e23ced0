#pragma once

#include "programs/client.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace support {

/// Runs the example whoami, or another with its options, until the object goes. Listens at
/// 127.0.0.1:0 unless told otherwise.
class whoami_server {
public:
    explicit whoami_server(std::vector<std::string> options, const process_options& streams = {},
                           const std::string& example = WHENCE_WHOAMI);

    /// Where it listens, "127.0.0.1:40112"; in the order of --listen.
    const std::string& address(std::size_t which = 0) const { return addresses_.at(which); }
    process& program() noexcept { return program_; }

    /// Waits for the line that says why the peer `who` was refused; its reason, or "" for none.
    std::string refusal_of(const std::string& who, milliseconds time_max = step_time_max);
    /// Waits until nobody can connect any more, at any listening socket; false: somebody still can.
    bool stops_listening();
    /// Counts the lines of stderr that tell `event`.
    std::size_t count_of(const std::string& event) const;

private:
    process program_;
    std::vector<std::string> addresses_;
};

/// The options for a server that demands a header from 127.0.0.1.
std::vector<std::string> trusting(std::vector<std::string> more = {});

/// What whoami answered, and what followed.
struct conversation {
    nlohmann::json answer;  // null: no line came
    std::string echo;
    ending how = ending::kept_open;
};

/// Sends bytes, half-closes, and reads to the end.
conversation converse(client& with, std::string_view bytes);
/// Reads to the end: a JSON line, and what follows.
conversation read_conversation(client& with, milliseconds time_max = step_time_max);

/// A version 1 header for 203.0.113.7:4242 to 198.51.100.1:443.
constexpr std::string_view good_header = "PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\n";
constexpr const char* good_client = "203.0.113.7:4242";

/// A version 2 header for the same; 28 bytes.
constexpr std::string_view good_header_v2{"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
                                          "\xcb\0\x71\x07\xc6\x33\x64\x01\x10\x92\x01\xbb",
                                          28};

/// A version 1 header for a client such as "203.0.113.7:4242".
std::string header_of(const std::string& client);

/// Opens a session and sees it served as `who`.
/// errors: std::runtime_error that holds what came instead.
client open_session(const std::string& address, const std::string& who = good_client);

/// Opens as many, one after another, each as a client of its own.
std::vector<client> open_sessions(const std::string& address, std::size_t count);
/// The name of the i-th client of open_sessions(): 10.0.0.0:1024, 10.0.0.1:1024, ...
std::string client_name(std::size_t i);

/// Says something and sees it come back. Says what was wrong; "": nothing.
std::string fault_of_an_echo(client& with, milliseconds time_max = step_time_max);

/// Asks as a good client. Says what was wrong with the answer, or with its time; "": nothing.
std::string fault_of_a_good_answer(const std::string& address, milliseconds time_max);

}  // namespace support

#pragma once

#include "programs/whoami_server.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace support {

/// Runs HAProxy in the foreground in front of a server, with a configuration of its own.
/// limits: sockets are made here and handed over, so no port can be taken by somebody else.
class haproxy {
public:
    struct options {
        std::string server;        // an address, or unix@/path
        std::string server_words;  // behind the address, such as "send-proxy-v2"
        std::string host = "127.0.0.1";
        std::string bind_words;      // such as "ssl crt /path"
        std::string frontend_lines;  // each ending in a newline
        std::string backend_lines;
    };

    explicit haproxy(const options& how);
    ~haproxy();
    haproxy(const haproxy&) = delete;
    haproxy& operator=(const haproxy&) = delete;

    /// Where clients connect to.
    const std::string& address() const noexcept { return at_.address; }
    process& program() noexcept { return *program_; }
    /// A column of `show stat` for the server.
    std::string server_column(const std::string& column);

private:
    temporary_directory folder_;
    listening at_;
    std::optional<process> program_;
};

/// Runs nginx in the foreground as a TCP proxy that sends a version 1 header.
class nginx {
public:
    /// `server`: an address, or unix:/path.
    nginx(const std::string& host, const std::string& server);

    const std::string& address() const noexcept { return address_; }
    process& program() noexcept { return *program_; }

private:
    temporary_directory folder_;
    std::string address_;
    std::optional<process> program_;
};

/// Connects, trying again while nobody listens there yet.
client connect_when_ready(const std::string& address, const client_options& options = {});

/// Replaces the first of each {name} in a text.
std::string filled(std::string text, const std::vector<std::pair<std::string, std::string>>& with);

/// Runs a command to its end; throws with its stderr when it fails.
std::vector<std::string> output_of(const std::vector<std::string>& command);

}  // namespace support

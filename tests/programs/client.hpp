#pragma once

#include "support/process.hpp"

#include <string>
#include <string_view>

namespace support {

/// Says how reading ended.
enum class ending { closed, reset, timed_out, kept_open };

/// Holds what came until reading ended.
struct received {
    std::string bytes;
    ending how = ending::kept_open;

    /// Tells whether the server let go without having said anything.
    bool refused() const noexcept
    {
        return bytes.empty() && (how == ending::closed || how == ending::reset);
    }
};

struct client_options {
    std::string source;           // an address such as 127.0.0.2: play another peer
    int receive_buffer_size = 0;  // bytes; 0: the system's
    int send_buffer_size = 0;
};

/// Is a plain blocking TCP or UNIX stream socket whose every call is bounded.
class client {
public:
    /// Connects to "127.0.0.1:7000", "[::1]:7000" or "unix:/path".
    /// errors: std::system_error.
    explicit client(const std::string& address, const client_options& options = {});
    client(client&& other) noexcept;
    client& operator=(client&& other) noexcept;
    ~client();

    /// Sends all; false when the server has gone or takes nothing for too long.
    bool send(std::string_view bytes, milliseconds time_max = step_time_max);
    /// Sends every byte in a segment of its own.
    bool send_one_by_one(std::string_view bytes);
    /// Sends what fits until nothing fits any more, at most `size_max` bytes. Gives their number.
    std::size_t send_until_full(std::size_t size_max);
    /// Says that no more will come.
    void finish() noexcept;
    /// Ends the connection with a reset.
    void reset() noexcept;
    void close() noexcept;

    /// Reads a line, without its newline; what was read when none came.
    std::string read_line(milliseconds time_max = step_time_max);
    std::string read_exactly(std::size_t count, milliseconds time_max = step_time_max);
    received read_to_end(milliseconds time_max = step_time_max);
    /// Waits until there is a byte to read, or the end, and leaves it there; false: neither came.
    bool wait_readable(milliseconds time_max);

    /// Our own end, "127.0.0.1:40112".
    std::string local() const;
    int descriptor() const noexcept { return fd_; }

private:
    ending fill(std::chrono::steady_clock::time_point until);

    int fd_ = -1;
    std::string buffered_;
};

/// Holds a listening socket, which its maker closes.
struct listening {
    int fd;
    std::string address;
};

/// Listens on a free port of `host`, which no other process can take any more.
listening listen_at(const std::string& host);

/// Finds a port of `host` that is free now, for software that cannot take a socket.
std::string free_address(const std::string& host);

}  // namespace support

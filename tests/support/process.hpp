#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

namespace support {

using std::chrono::milliseconds;

/// Bounds every wait that has no reason for a bound of its own; generous, the machine may be busy.
constexpr milliseconds step_time_max{10'000};

/// Names what becomes of a child's stdout or stderr.
enum class capture {
    lines,   // read at once, kept line by line
    unread,  // a pipe that nobody reads
    closed,  // the descriptor is not open in the child
};

struct process_options {
    capture output = capture::lines;
    capture errors = capture::lines;
    std::string input;                // what stdin holds
    std::size_t descriptors_max = 0;  // RLIMIT_NOFILE of the child; 0: as ours
    int io_uring_error = 0;           // what a seccomp filter answers io_uring_setup; 0: no filter
    std::vector<int> inherited;       // descriptors that keep their numbers in the child
    std::vector<std::string> environment;  // NAME=value, beside our own
};

/// Runs a program as a child; ends it, by its id, when the object goes.
/// limits: all waits are bounded; the kernel kills the child should this process die first.
class process {
public:
    /// Starts `command`; its first word is a path or a name in PATH.
    /// errors: std::runtime_error when there is no such program.
    explicit process(std::vector<std::string> command, const process_options& options = {});
    process(const process&) = delete;
    process& operator=(const process&) = delete;
    /// SIGTERM, and SIGKILL when that did not help within a second.
    ~process();

    pid_t pid() const noexcept { return pid_; }
    void signal(int number) const noexcept;

    using line_check = std::function<bool(const std::string&)>;
    /// Waits for a line of stdout that `wanted` accepts, earlier lines included; none: empty.
    std::optional<std::string> wait_for_output(const line_check& wanted,
                                               milliseconds time_max = step_time_max);
    /// The same for stderr.
    std::optional<std::string> wait_for_error(const line_check& wanted,
                                              milliseconds time_max = step_time_max);
    /// Waits for the end. Gives the exit status, 128 + N after signal N; nothing: it still runs.
    std::optional<int> wait_for_exit(milliseconds time_max = step_time_max);

    /// All lines up to now.
    std::vector<std::string> output_lines() const;
    std::vector<std::string> error_lines() const;
    std::string output_text() const;
    std::string errors_text() const;

    /// Closes our ends of its stdout and stderr, as a reader that died would.
    void stop_reading();

    /// Counts the descriptors that it has open.
    std::size_t open_descriptors() const;
    /// Waits until it has as many open as wanted; gives what it last had.
    std::size_t wait_for_descriptors(std::size_t wanted, milliseconds time_max = step_time_max);
    /// The processor time that it has used so far.
    milliseconds cpu_time() const;

private:
    struct stream {
        int fd = -1;
        std::string partial;
        std::vector<std::string> lines;
    };

    void start(const std::vector<std::string>& command, const process_options& options);
    void read_streams() noexcept;
    void take(stream& from) noexcept;
    std::optional<std::string> wait_for(const stream& in, const line_check& wanted,
                                        milliseconds time_max);
    void end_reading();

    pid_t pid_ = -1;
    int pidfd_ = -1;
    std::optional<int> status_;
    int stop_reader_[2] = {-1, -1};
    int unread_[2] = {-1, -1};  // our ends of pipes that nobody reads
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool reading_ = true;
    stream output_;
    stream errors_;
    std::thread reader_;
};

/// Accepts a line that holds all of `parts`.
process::line_check holds(std::vector<std::string> parts);

/// Finds a program in PATH and the sbin directories.
/// errors: std::runtime_error that names the package to install.
std::string find_program(const std::string& name, const std::string& package);

/// Makes an empty directory and removes it, with all that is in it.
class temporary_directory {
public:
    temporary_directory();
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;
    ~temporary_directory();

    const std::filesystem::path& path() const noexcept { return path_; }
    std::string operator/(const std::string& name) const { return path_ / name; }
    /// Writes a file into it and gives its path.
    std::string write(const std::string& name, const std::string& text) const;

private:
    std::filesystem::path path_;
};

/// Raises this process's limit of descriptors, and that of its children, as far as it goes.
void raise_descriptor_limit();

}  // namespace support

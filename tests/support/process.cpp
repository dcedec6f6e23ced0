#include "support/process.hpp"

#include "support/forbid_io_uring.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace support {

namespace {

using steady = std::chrono::steady_clock;

constexpr milliseconds kind_end_time_max{1'000};

[[noreturn]] void fail(const char* step)
{
    throw std::system_error(errno, std::system_category(), step);
}

void close_once(int& fd) noexcept
{
    if (fd >= 0)
        ::close(fd);
    fd = -1;
}

std::array<int, 2> make_pipe()
{
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        fail("pipe2");
    return ends;
}

/// A descriptor that reads as `text` and then ends.
int file_of(const std::string& text)
{
    const int fd = memfd_create("stdin", MFD_CLOEXEC);
    if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        lseek(fd, 0, SEEK_SET) != 0)
        fail("stdin of a child");
    return fd;
}

std::string joined(const std::vector<std::string>& lines)
{
    std::string text;
    for (const std::string& line : lines)
        text += line + '\n';
    return text;
}

/// In the child, between fork and exec: only calls that are safe there.
void become(int fd, int target) noexcept
{
    if (fd < 0)
        ::close(target);
    else if (fd == target)
        fcntl(fd, F_SETFD, 0);
    else
        ::dup2(fd, target);
}

}  // namespace

process::process(std::vector<std::string> command, const process_options& options)
{
    if (command.front().find('/') == std::string::npos)
        command.front() = find_program(command.front(), command.front());
    if (::access(command.front().c_str(), X_OK) != 0)
        throw std::runtime_error(command.front() + " cannot be run: is it built?");
    start(command, options);
    pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    if (::pipe2(stop_reader_, O_CLOEXEC) != 0 || pidfd_ < 0)
        fail("watching a child");
    reader_ = std::thread{[this] { read_streams(); }};
}

void process::start(const std::vector<std::string>& command, const process_options& options)
{
    std::vector<char*> words;
    words.reserve(command.size() + 1);
    for (const std::string& word : command)
        words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    std::vector<char*> variables;
    variables.reserve(options.environment.size() + 1);
    for (const std::string& variable : options.environment)
        variables.push_back(const_cast<char*>(variable.c_str()));
    for (char** own = environ; *own; ++own)
        variables.push_back(*own);
    variables.push_back(nullptr);

    int input = file_of(options.input);
    std::array<int, 2> output =
        options.output == capture::closed ? std::array{-1, -1} : make_pipe();
    std::array<int, 2> errors =
        options.errors == capture::closed ? std::array{-1, -1} : make_pipe();
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent)
            _exit(127);
        become(input, STDIN_FILENO);
        become(output[1], STDOUT_FILENO);
        become(errors[1], STDERR_FILENO);
        for (const int fd : options.inherited)
            fcntl(fd, F_SETFD, 0);
        if (options.descriptors_max != 0) {
            const rlimit limit{options.descriptors_max, options.descriptors_max};
            setrlimit(RLIMIT_NOFILE, &limit);
        }
        if (options.io_uring_error != 0 && !forbid_io_uring(options.io_uring_error))
            _exit(127);
        ::execve(words[0], words.data(), variables.data());
        _exit(127);
    }
    close_once(input);
    close_once(output[1]);
    close_once(errors[1]);
    (options.output == capture::lines ? output_.fd : unread_[0]) = output[0];
    (options.errors == capture::lines ? errors_.fd : unread_[1]) = errors[0];
    if (pid_ < 0)
        fail("fork");
}

process::~process()
{
    if (!status_) {
        signal(SIGTERM);
        if (!wait_for_exit(kind_end_time_max)) {
            signal(SIGKILL);
            wait_for_exit(step_time_max);
        }
    }
    end_reading();
    for (int* fd : {&pidfd_, &stop_reader_[0], &stop_reader_[1], &output_.fd, &errors_.fd,
                    &unread_[0], &unread_[1]})
        close_once(*fd);
}

void process::signal(int number) const noexcept
{
    if (!status_)
        ::kill(pid_, number);
}

void process::read_streams() noexcept
{
    std::array<pollfd, 3> on{pollfd{output_.fd, POLLIN, 0}, pollfd{errors_.fd, POLLIN, 0},
                             pollfd{stop_reader_[0], POLLIN, 0}};
    while (on[0].fd >= 0 || on[1].fd >= 0) {
        if (::poll(on.data(), on.size(), -1) < 0 && errno != EINTR)
            break;
        if (on[2].revents != 0)
            break;
        if (on[0].revents != 0)
            take(output_);
        if (on[1].revents != 0)
            take(errors_);
        on[0].fd = output_.fd;
        on[1].fd = errors_.fd;
    }
    const std::lock_guard lock{mutex_};
    reading_ = false;
    changed_.notify_all();
}

/// Reads what there is; at the end of the stream the descriptor goes.
void process::take(stream& from) noexcept
{
    std::array<char, 65536> bytes;
    const ssize_t count = ::read(from.fd, bytes.data(), bytes.size());
    const std::lock_guard lock{mutex_};
    if (count <= 0) {
        close_once(from.fd);
        if (!from.partial.empty())
            from.lines.push_back(std::move(from.partial));
        from.partial.clear();
    } else {
        from.partial.append(bytes.data(), static_cast<std::size_t>(count));
        std::size_t begin = 0;
        for (std::size_t end; (end = from.partial.find('\n', begin)) != std::string::npos;
             begin = end + 1)
            from.lines.push_back(from.partial.substr(begin, end - begin));
        from.partial.erase(0, begin);
    }
    changed_.notify_all();
}

std::optional<std::string> process::wait_for(const stream& in, const line_check& wanted,
                                             milliseconds time_max)
{
    const auto until = steady::now() + time_max;
    std::size_t seen = 0;
    std::unique_lock lock{mutex_};
    for (;;) {
        for (; seen < in.lines.size(); ++seen) {
            if (wanted(in.lines[seen]))
                return in.lines[seen];
        }
        if (!reading_ || changed_.wait_until(lock, until) == std::cv_status::timeout) {
            const auto found = std::find_if(in.lines.begin() + static_cast<std::ptrdiff_t>(seen),
                                            in.lines.end(), wanted);
            return found == in.lines.end() ? std::nullopt : std::optional{*found};
        }
    }
}

std::optional<std::string> process::wait_for_output(const line_check& wanted, milliseconds time_max)
{
    return wait_for(output_, wanted, time_max);
}

std::optional<std::string> process::wait_for_error(const line_check& wanted, milliseconds time_max)
{
    return wait_for(errors_, wanted, time_max);
}

std::optional<int> process::wait_for_exit(milliseconds time_max)
{
    if (status_)
        return status_;
    pollfd on{pidfd_, POLLIN, 0};
    if (::poll(&on, 1, static_cast<int>(time_max.count())) != 1)
        return std::nullopt;
    int raw = 0;
    if (::waitpid(pid_, &raw, 0) != pid_)
        fail("waitpid");
    status_ = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
    // What it wrote last is still to be read; a grandchild may hold the pipe, hence the bound.
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, kind_end_time_max, [this] { return !reading_; });
    return status_;
}

std::vector<std::string> process::output_lines() const
{
    const std::lock_guard lock{mutex_};
    return output_.lines;
}

std::vector<std::string> process::error_lines() const
{
    const std::lock_guard lock{mutex_};
    return errors_.lines;
}

std::string process::output_text() const
{
    return joined(output_lines());
}

std::string process::errors_text() const
{
    return joined(error_lines());
}

void process::end_reading()
{
    if (reader_.joinable()) {
        [[maybe_unused]] const auto woken = ::write(stop_reader_[1], "", 1);
        reader_.join();
    }
}

void process::stop_reading()
{
    end_reading();
    for (int* fd : {&output_.fd, &errors_.fd, &unread_[0], &unread_[1]})
        close_once(*fd);
}

std::size_t process::open_descriptors() const
{
    const std::filesystem::directory_iterator all{"/proc/" + std::to_string(pid_) + "/fd"};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::size_t process::wait_for_descriptors(std::size_t wanted, milliseconds time_max)
{
    const auto until = steady::now() + time_max;
    std::size_t open = open_descriptors();
    while (open != wanted && steady::now() < until && !wait_for_exit(milliseconds{5}))
        open = open_descriptors();
    return open;
}

milliseconds process::cpu_time() const
{
    std::ifstream file{"/proc/" + std::to_string(pid_) + "/stat"};
    std::string text{std::istreambuf_iterator<char>{file}, {}};
    // Behind the name, which may hold anything: state, ten fields, user and system time in ticks.
    std::istringstream fields{text.substr(text.rfind(')') + 1)};
    std::string skipped;
    for (int i = 0; i < 11; ++i)
        fields >> skipped;
    long user = 0;
    long system = 0;
    if (!(fields >> user >> system))
        throw std::runtime_error("no processor time of process " + std::to_string(pid_));
    return milliseconds{(user + system) * 1'000 / ::sysconf(_SC_CLK_TCK)};
}

process::line_check holds(std::vector<std::string> parts)
{
    return [parts = std::move(parts)](const std::string& line) {
        return std::all_of(parts.begin(), parts.end(), [&line](const std::string& part) {
            return line.find(part) != std::string::npos;
        });
    };
}

std::string find_program(const std::string& name, const std::string& package)
{
    const char* own = std::getenv("PATH");
    std::string path = std::string{own ? own : ""} + ":/usr/bin:/usr/sbin:/usr/local/sbin:";
    for (std::size_t end; (end = path.find(':')) != std::string::npos; path.erase(0, end + 1)) {
        const std::string candidate = path.substr(0, end) + '/' + name;
        if (end != 0 && ::access(candidate.c_str(), X_OK) == 0)
            return candidate;
    }
    throw std::runtime_error("the program '" + name + "' is missing: install the package " +
                             package);
}

temporary_directory::temporary_directory()
{
    std::string text = std::filesystem::temp_directory_path() / "whence-test-XXXXXX";
    if (!::mkdtemp(text.data()))
        fail("mkdtemp");
    path_ = text;
}

temporary_directory::~temporary_directory()
{
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string temporary_directory::write(const std::string& name, const std::string& text) const
{
    std::ofstream{path_ / name} << text;
    return path_ / name;
}

void raise_descriptor_limit()
{
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        fail("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        fail("setrlimit");
}

}  // namespace support

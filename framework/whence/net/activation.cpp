#include <whence/net/activation.hpp>

#include <whence/base/text.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <limits>
#include <stdexcept>

namespace whence::inline v0 {

namespace {

constexpr int first_descriptor = 3;  // SD_LISTEN_FDS_START

/// Takes a variable out of the environment.
std::optional<std::string> take_variable(const char* name)
{
    const char* found = std::getenv(name);
    if (!found)
        return std::nullopt;
    std::string value = found;
    ::unsetenv(name);
    return value;
}

[[noreturn]] void refuse(const char* variable, const std::string& value, const std::string& why)
{
    throw std::invalid_argument(std::string{variable} + '=' + quoted(value) + ": " + why);
}

int positive_number(const char* variable, const std::string& value)
{
    const auto number = parse_number(value, std::numeric_limits<int>::max() - first_descriptor);
    if (!number)
        refuse(variable, value, number.error());
    if (*number == 0)
        refuse(variable, value, "must be at least 1");
    return static_cast<int>(*number);
}

std::vector<std::string> split(const std::string& list)
{
    std::vector<std::string> parts;
    std::size_t begin = 0;
    for (std::size_t end = 0; end != std::string::npos; begin = end + 1) {
        end = list.find(':', begin);
        parts.push_back(list.substr(begin, end - begin));
    }
    return parts;
}

}  // namespace

std::vector<activated_listener> take_activated_listeners(const listen_options& options)
{
    const auto process = take_variable("LISTEN_PID");
    const auto descriptors = take_variable("LISTEN_FDS");
    const auto names = take_variable("LISTEN_FDNAMES");
    take_variable("LISTEN_PIDFDID");
    if (!process || !descriptors || positive_number("LISTEN_PID", *process) != getpid())
        return {};
    const int count = positive_number("LISTEN_FDS", *descriptors);
    std::vector<std::string> name_list;
    if (names)
        name_list = split(*names);
    if (names && name_list.size() != static_cast<std::size_t>(count))
        refuse("LISTEN_FDNAMES", *names,
               std::to_string(name_list.size()) + " names for " + *descriptors + " descriptors");
    // All of them first: what is refused below must not reach a child either.
    for (int fd = first_descriptor; fd < first_descriptor + count; ++fd) {
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
            refuse("LISTEN_FDS", *descriptors, "descriptor " + std::to_string(fd) + " is not open");
    }
    std::vector<activated_listener> taken;
    for (int i = 0; i < count; ++i) {
        std::string name = names ? name_list[static_cast<std::size_t>(i)] : "unknown";
        taken.push_back({std::move(name), listener::adopt(first_descriptor + i, options)});
    }
    return taken;
}

}  // namespace whence::inline v0

#include <whence/runtime/service_manager.hpp>

#include <whence/base/text.hpp>
#include <whence/coro/deadline.hpp>
#include <whence/runtime/invoke_on.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace whence::inline v0 {

namespace {

constexpr std::size_t status_size_max = 1'024;  // systemd reads 4,096 bytes of a message

/// Is a way to the manager.
class manager_socket {
public:
    manager_socket() noexcept : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
    ~manager_socket()
    {
        if (fd_ >= 0)
            ::close(fd_);
    }
    manager_socket(const manager_socket&) = delete;
    manager_socket& operator=(const manager_socket&) = delete;

    std::error_code send(std::string_view address, std::string_view message) const noexcept
    {
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        // A path and an abstract name both take the bytes as they are, the '@' aside.
        if (!address.starts_with('/') && !address.starts_with('@'))
            return error_of(EAFNOSUPPORT);
        if (address.size() >= sizeof to.sun_path)
            return error_of(ENAMETOOLONG);
        std::memcpy(to.sun_path, address.data(), address.size());
        const bool is_path = address.front() == '/';
        if (!is_path)
            to.sun_path[0] = '\0';
        const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size() +
                                                 (is_path ? 1 : 0));
        const ssize_t sent =
            ::sendto(fd_, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                     reinterpret_cast<const sockaddr*>(&to), size);
        return error_of(sent < 0 ? errno : 0);
    }

private:
    int fd_;
};

std::atomic<unsigned> reloads{0};  // reload_notices that live

/// Logs what `error()` gives as text.
template <class Error>
void report(std::string_view what, Error error) noexcept
{
    if (!internal::ctx.running)
        return;
    runtime::current().reports().event("service_manager_failed", [&](json_object& line) {
        line.add("message", what).add("error", error());
    });
}

void report_unless_sent(std::string_view message, const std::error_code& error) noexcept
{
    if (error)
        report(message, [&error] { return error.message(); });
}

void notify(std::string_view message) noexcept
{
    report_unless_sent(message, notify_service_manager(message));
}

std::string printable(std::string_view text)
{
    std::string out;
    while (!text.empty()) {
        const std::size_t size = utf8_size(text);
        if (out.size() + std::max<std::size_t>(size, 1) > status_size_max)
            break;
        const bool as_it_is = size > 0 && static_cast<unsigned char>(text[0]) >= 0x20;
        if (as_it_is)
            out += text.substr(0, size);
        else
            out += '?';
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return out;
}

/// Reads how often the manager wants to hear of this process; zero: not at all.
nanoseconds watchdog_interval()
{
    constexpr u64 time_max =
        std::chrono::duration_cast<std::chrono::microseconds>(nanoseconds::max()).count();
    const char* interval = std::getenv("WATCHDOG_USEC");
    const char* process = std::getenv("WATCHDOG_PID");
    if (!interval || (process && process != std::to_string(getpid())))
        return nanoseconds::zero();
    auto time = parse_number(interval, time_max);
    if (time && *time == 0)
        time = std::string{"must be at least 1"};
    if (!time) {
        report("WATCHDOG_USEC=" + quoted(interval), [&time] { return time.error(); });
        return nanoseconds::zero();
    }
    return std::chrono::microseconds{static_cast<i64>(*time)};
}

}  // namespace

std::error_code notify_service_manager(std::string_view message) noexcept
{
    const char* address = std::getenv("NOTIFY_SOCKET");
    if (!address)
        return {};
    return manager_socket{}.send(address, message);
}

void notify_ready() noexcept
{
    notify("READY=1");
}

void notify_stopping() noexcept
{
    notify("STOPPING=1");
}

void notify_status(std::string_view text) noexcept
{
    try {
        notify("STATUS=" + printable(text));
    } catch (const std::bad_alloc&) {
    }
}

reload_notice::reload_notice() noexcept
{
    if (reloads++ != 0)
        return;
    try {
        // systemd tells by the time whether this answers its signal or came before it.
        const auto time =
            std::chrono::duration_cast<std::chrono::microseconds>(now().time_since_epoch());
        notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(time.count()));
    } catch (const std::bad_alloc&) {
    }
}

reload_notice::~reload_notice()
{
    if (--reloads == 0)
        notify_ready();
}

task<> feed_watchdog()
{
    const nanoseconds interval = watchdog_interval();
    const char* address = std::getenv("NOTIFY_SOCKET");
    if (interval == nanoseconds::zero() || !address)
        co_return;
    const std::string to = address;
    const manager_socket manager;
    for (;;) {
        for (runtime* const each : runtime::current().group())
            co_await invoke_on(*each, []() -> task<> { co_return; });
        report_unless_sent("WATCHDOG=1", manager.send(to, "WATCHDOG=1"));
        co_await sleep_for(interval / 2);
    }
}

}  // namespace whence::inline v0

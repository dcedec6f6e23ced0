#pragma once

#include <whence/coro/task.hpp>

#include <string_view>
#include <system_error>

namespace whence::inline v0 {

/// Sends a message to the service manager that started this process (systemd with Type=notify or
/// notify-reload), such as "READY=1": one datagram to NOTIFY_SOCKET. Without that variable there is
/// nobody to tell, which is no error.
/// limits: never waits. From any thread, as long as none changes the environment.
/// errors: returned, and nothing else happens: the manager does not answer, its queue is full, the
/// variable is neither a path nor an abstract name.
/// source: sd_notify(3).
std::error_code notify_service_manager(std::string_view message) noexcept;

/// Tell that connections are being accepted, that the process is ending, and what `systemctl
/// status` shows (cut at 1,024 bytes; what is not printable or no UTF-8 becomes '?').
/// errors: in a runtime, one line in its reports, {"event":"service_manager_failed",...}.
void notify_ready() noexcept;
void notify_stopping() noexcept;
void notify_status(std::string_view text) noexcept;

/// Tells that the program reloads its configuration while this object lives: RELOADING=1 with the
/// runtime's time, and READY=1 at the end. Several may live at the same time, in any runtimes: the
/// manager sees one reload, from the first one's beginning to the last one's end.
/// limits: made in a runtime.
class [[nodiscard]] reload_notice {
public:
    reload_notice() noexcept;
    reload_notice(const reload_notice&) = delete;
    reload_notice& operator=(const reload_notice&) = delete;
    ~reload_notice();
};

/// Tells the manager's watchdog, twice in each of its intervals, that the loops of all runtimes
/// turn; ends at once when there is none (WATCHDOG_USEC, WATCHDOG_PID). Until it is cancelled
/// otherwise. It keeps a descriptor of its own, so that a program that has run out of them is not
/// killed. errors: none; a malformed WATCHDOG_USEC is reported and there is no feeding. source:
/// sd_watchdog_enabled(3).
task<> feed_watchdog();

}  // namespace whence::inline v0

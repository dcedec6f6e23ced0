#pragma once

#include <whence/runtime/inbox.hpp>

#include <mutex>
#include <string>
#include <string_view>

namespace whence::inline v0 {

/// Writes log lines to a descriptor through the driver: a reader that stalls never stops a runtime.
/// shape: lines gather in one buffer while the one before is being written. A line that finds the
/// buffer full is dropped; the count of the dropped is the next line that is written.
/// limits: lines from any thread, all else in the driver's own; 256 KiB.
class log_sink {
public:
    /// Borrows `fd`; nothing is allocated before the first line.
    log_sink(driver& io, internal::inbox& mail, int fd) noexcept;
    log_sink(const log_sink&) = delete;
    log_sink& operator=(const log_sink&) = delete;
    /// Drops what is not written yet; see flush().
    ~log_sink();

    /// Takes one line, without its newline.
    void line(std::string_view text) noexcept;

    /// Waits for what is on its way, at most `time_max`; outside of the loop.
    void flush(nanoseconds time_max) noexcept;

    /// From any thread.
    u64 dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

private:
    struct write_operation : operation {
        log_sink* self = nullptr;
    };

    void append(std::string_view text);
    void start_write() noexcept;
    void on_written() noexcept;

    driver& io_;
    int fd_;
    std::mutex lock_;  // guards what lines from other threads change
    std::string gathering_;
    std::atomic<u64> dropped_{0};  // written under the lock
    u64 dropped_reported_ = 0;
    internal::notice gathered_;
    std::string writing_;
    write_operation write_;
};

}  // namespace whence::inline v0

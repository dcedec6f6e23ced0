#pragma once

#include <whence/coro/operation.hpp>
#include <whence/runtime/driver.hpp>

namespace whence::inline v0 {

/// Says what becomes of one operation.
struct fault {
    enum class kind : u8 {
        fail,  // completes with `error`, without having been carried out
        cut,   // receives one byte at most
        late,  // is carried out some turns later
    };

    u64 at = 0;  // the how-manieth operation, from 1; 0: none
    kind what = kind::fail;
    int error = 104;  // ECONNRESET; a positive errno value
};

/// Carries operations out through another driver, but for one that meets a fault: for tests that
/// make the 1st, 2nd, ... operation fail until every error path has run.
class fault_driver final : public driver {
public:
    fault_driver(std::unique_ptr<driver> below, fault planned);

    /// Tells how many operations were submitted, so whether the fault was met.
    u64 submitted() const noexcept { return submitted_; }

    void submit(operation& op) noexcept override;
    void cancel(operation& op) noexcept override;
    void close(int fd) noexcept override { below_->close(fd); }
    void abort(int fd) noexcept override { below_->abort(fd); }
    void shutdown_write(int fd) noexcept override { below_->shutdown_write(fd); }
    void wait(nanoseconds at_most) noexcept override;
    void wake() noexcept override { below_->wake(); }
    time_point now() noexcept override { return below_->now(); }
    nanoseconds wall_now() noexcept override { return below_->wall_now(); }
    buffer_pool& buffers() noexcept override { return below_->buffers(); }
    socket_calls& sockets() noexcept override { return below_->sockets(); }
    const driver_metrics& metrics() const noexcept override { return below_->metrics(); }
    const char* name() const noexcept override { return below_->name(); }
    int attention_fd() override { return below_->attention_fd(); }

private:
    std::unique_ptr<driver> below_;
    fault planned_;
    u64 submitted_ = 0;
    operation* held_ = nullptr;
    unsigned turns_held_ = 0;
};

}  // namespace whence::inline v0

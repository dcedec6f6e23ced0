#pragma once

// Not a public header: the driver of a simulated host.

#include <whence/sim/network.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace whence::inline v0::sim::internal {

/// Carries operations out in a simulated world. Nothing happens in submit() and cancel(): both take
/// effect when the driver waits, as they do with io_uring.
class host_driver : public driver, private socket_calls {
public:
    explicit host_driver(stack& host) noexcept : host_(host), net_(host.net) {}
    ~host_driver() override;

    void submit(operation& op) noexcept override;
    void cancel(operation& op) noexcept override { cancelled_.push_back(&op); }
    void close(int fd) noexcept override;
    void abort(int fd) noexcept override;
    void shutdown_write(int fd) noexcept override;

    /// Zero: does what was submitted, and delivers. Otherwise lets the world go on, too, whose
    /// other hosts stand still meanwhile.
    void wait(nanoseconds at_most) noexcept override;
    void wake() noexcept override;
    time_point now() noexcept override { return net_.now(); }
    nanoseconds wall_now() noexcept override;
    buffer_pool& buffers() noexcept override { return host_.buffers; }
    socket_calls& sockets() noexcept override { return *this; }
    const driver_metrics& metrics() const noexcept override { return host_.metrics; }
    const char* name() const noexcept override { return "sim"; }

    /// Tells that a turn would find something to do.
    bool has_work() const noexcept;
    std::size_t in_flight() const noexcept { return in_flight_; }
    /// Lets cancellations that are on their way come through.
    void settle() noexcept;

private:
    int open(int family, int type) noexcept override;
    int bind(int fd, const whence::internal::socket_address& local) noexcept override;
    int listen(int fd, int backlog) noexcept override;
    int local(int fd, whence::internal::socket_address& into) noexcept override;
    int peer(int fd, whence::internal::socket_address& into) noexcept override;
    int set_option(int fd, int level, int name, const void* value, u32 size) noexcept override;
    int option(int fd, int level, int name, void* value, u32& size) noexcept override;

    void take();
    void begin(operation& op);
    void write_out(operation& op);
    bool deliver() noexcept;
    void wait_for_wake() noexcept;

    stack& host_;
    network& net_;
    operation* first_ = nullptr;  // submitted, in order
    operation* last_ = nullptr;
    std::vector<operation*> cancelled_;
    std::vector<completion> delivering_;
    std::size_t in_flight_ = 0;
    std::atomic<bool> woken_{false};
    std::mutex lock_;
    std::condition_variable called_;
};

}  // namespace whence::inline v0::sim::internal

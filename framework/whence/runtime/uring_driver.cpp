#include <whence/runtime/driver.hpp>

#include <whence/base/check.hpp>
#include <whence/coro/strand.hpp>
#include <whence/runtime/kernel_driver_clock.hpp>
#include <whence/runtime/uring_driver_ring.hpp>

#include <liburing.h>

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <system_error>

namespace whence::inline v0 {

namespace {

// A large send goes in pieces, so that whoever watches it sees it move; see operation::offset.
constexpr u32 send_piece_max = 256 * 1024;  // bytes

// operation::driver_flags
constexpr u8 polled_first = 1;  // met an empty pool once and was armed again without a buffer
constexpr u8 starved = 2;       // has data waiting and queues for a buffer

class uring_driver final : public driver {
public:
    explicit uring_driver(const driver_options& options) : ring_(options), buffers_(ring_, options)
    {
        wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (wake_fd_ < 0)
            throw std::system_error(errno, std::system_category(), "eventfd");
        wake_.done = [](operation& op) noexcept {
            if (uring_driver* self = static_cast<wake_operation&>(op).self)
                self->arm_wake();
        };
        wake_.self = this;
        arm_wake();
    }

    ~uring_driver() override
    {
        // Nothing may stay with the kernel: neither buffers nor operations, and a port whose accept
        // is still armed would stay bound for a while. Queued closes are carried out, too.
        wake_.self = nullptr;
        while (starved_head_)
            cancel(*starved_head_);
        io_uring_sqe& entry = next_entry();
        io_uring_initialize_sqe(&entry);
        io_uring_prep_cancel64(&entry, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
        entry.user_data = 0;
        entered();
        while (in_flight_ != 0)
            wait(nanoseconds::max());
        io_uring_submit(&ring_);
        ::close(wake_fd_);
        if (attention_fd_ >= 0)
            ::close(attention_fd_);
    }

    void submit(operation& op) noexcept override
    {
        ++in_flight_;
        enter(op);
    }

    void cancel(operation& op) noexcept override
    {
        if (op.driver_flags & starved) {
            remove_starved(op);
            finish(op, -ECANCELED);
            return;
        }
        // Entries are carried out in order: whatever this strand submits next, even at the same
        // address, comes after this cancellation.
        io_uring_sqe& entry = next_entry();
        std::memset(&entry, 0, sizeof entry);
        entry.opcode = IORING_OP_ASYNC_CANCEL;
        entry.flags = IOSQE_CQE_SKIP_SUCCESS;
        entry.fd = -1;
        entry.addr = reinterpret_cast<u64>(&op);
        entered();
    }

    void close(int fd) noexcept override
    {
        io_uring_sqe& entry = next_entry();
        std::memset(&entry, 0, sizeof entry);
        entry.opcode = IORING_OP_CLOSE;
        entry.flags = IOSQE_CQE_SKIP_SUCCESS;
        entry.fd = fd;
        entered();
    }

    void abort(int fd) noexcept override
    {
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(fd);
    }

    void shutdown_write(int fd) noexcept override { ::shutdown(fd, SHUT_WR); }

    void wait(nanoseconds at_most) noexcept override
    {
        feed_starved();
        if (attention_fd_ >= 0)
            forget_attention();
        if (at_most <= nanoseconds::zero()) {
            io_uring_submit_and_get_events(&ring_);
        } else {
            const auto whole = std::chrono::duration_cast<std::chrono::seconds>(at_most);
            __kernel_timespec time{.tv_sec = whole.count(), .tv_nsec = (at_most - whole).count()};
            io_uring_cqe* first = nullptr;
            const bool forever = at_most == nanoseconds::max();
            io_uring_submit_and_wait_timeout(&ring_, &first, 1, forever ? nullptr : &time, nullptr);
        }
        reap();
    }

    void wake() noexcept override
    {
        const u64 one = 1;
        // Full means that a wake-up is pending already.
        [[maybe_unused]] ssize_t written = ::write(wake_fd_, &one, sizeof one);
        // One eventfd's write must not signal another; Linux 6.18 makes up for it only once.
        if (attention_fd_ >= 0)
            written = ::write(attention_fd_, &one, sizeof one);
    }

    time_point now() noexcept override { return time_point(read_system_clock(CLOCK_MONOTONIC)); }
    nanoseconds wall_now() noexcept override { return read_system_clock(CLOCK_REALTIME); }

    buffer_pool& buffers() noexcept override { return buffers_; }
    const driver_metrics& metrics() const noexcept override { return metrics_; }
    const char* name() const noexcept override { return "io_uring"; }

    /// The ring's own descriptor will not do: with DEFER_TASKRUN it wakes no poll.
    int attention_fd() override
    {
        if (attention_fd_ < 0) {
            attention_fd_ = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
            if (attention_fd_ < 0)
                throw std::system_error(errno, std::system_category(), "eventfd");
            if (const int error = io_uring_register_eventfd(&ring_, attention_fd_); error < 0)
                throw std::system_error(-error, std::system_category(), "register an eventfd");
        }
        return attention_fd_;
    }

private:
    struct wake_operation : operation {
        uring_driver* self = nullptr;
    };

    /// Fills a submission entry; nothing reaches the kernel before wait().
    void enter(operation& op, u16 more_ioprio = 0) noexcept
    {
        io_uring_sqe& entry = next_entry();
        entry = forms[static_cast<std::size_t>(op.what)];
        entry.ioprio |= more_ioprio;
        entry.fd = op.fd;
        entry.user_data = reinterpret_cast<u64>(&op);
        switch (op.what) {
        case verb::connect:
            entry.addr = reinterpret_cast<u64>(op.data);
            entry.off = op.size;
            break;
        case verb::send:
            entry.addr = reinterpret_cast<u64>(op.data);
            entry.len = std::min(op.size, send_piece_max);
            break;
        case verb::read:
        case verb::write:
            entry.off = op.offset;
            [[fallthrough]];
        case verb::recv:
            entry.addr = reinterpret_cast<u64>(op.data);
            entry.len = op.size;
            break;
        case verb::recv_pooled:
            entry.len = op.size;
            break;
        case verb::nothing:
        case verb::accept_many:
            break;
        }
        entered();
    }

    /// Gives a submission entry in which an earlier one's content may still stand; entered() ends
    /// its filling. There is always room for one.
    /// Not io_uring_get_sqe(): it looks for modes that this ring has not, and clears half of what
    /// is overwritten: 70 user instructions of the 510 of an echo.
    io_uring_sqe& next_entry() noexcept
    {
        return ring_.sq.sqes[ring_.sq.sqe_tail++ & ring_.sq.ring_mask];
    }

    void entered() noexcept
    {
        if (ring_.sq.sqe_tail - *ring_.sq.khead == ring_.sq.ring_entries) [[unlikely]]
            hand_over();
    }

    /// Lets the kernel take the entries of a full queue.
    [[gnu::noinline, gnu::cold]] void hand_over() noexcept
    {
        while (io_uring_sq_space_left(&ring_) == 0)
            io_uring_submit(&ring_);
    }

    /// Comes before the reaping: what completes from here on signals anew.
    void forget_attention() const noexcept
    {
        u64 signals = 0;
        [[maybe_unused]] const ssize_t got = ::read(attention_fd_, &signals, sizeof signals);
    }

    void arm_wake() noexcept
    {
        wake_.what = verb::read;
        wake_.fd = wake_fd_;
        wake_.data = &wakes_;
        wake_.size = sizeof wakes_;
        whence::submit(wake_, *this);
    }

    void reap() noexcept
    {
        io_uring_cq& queue = ring_.cq;
        unsigned head = *queue.khead;
        const unsigned tail = io_uring_smp_load_acquire(queue.ktail);
        for (; head != tail; ++head) {
            const io_uring_cqe& entry = queue.cqes[head & queue.ring_mask];
            // Cancellations and closes carry no operation; only their failures are reported.
            if (entry.user_data != 0)
                deliver(*reinterpret_cast<operation*>(entry.user_data), entry.res, entry.flags);
        }
        metrics_.completions.add(tail - *queue.khead);
        io_uring_smp_store_release(queue.khead, head);
    }

    void deliver(operation& op, int result, u32 flags) noexcept
    {
        switch (op.what) {
        case verb::recv_pooled: {
            if (flags & IORING_CQE_F_BUFFER) {
                const auto id = static_cast<u16>(flags >> IORING_CQE_BUFFER_SHIFT);
                op.data = buffers_.take(id, result);
                if (result <= 0)
                    buffers_.put_back(buffers_.at(id));
            } else if (result == -ENOBUFS) {
                wait_for_buffer(op);
                return;
            }
            break;
        }
        case verb::accept_many:
            if (flags & IORING_CQE_F_MORE) {
                op.result = result;
                op.done(op);
                return;
            }
            break;
        case verb::send:
            if (result > 0 && static_cast<u32>(result) < op.size && send_rest(op, result))
                return;
            // What went before a cancellation counts; an error does not hide behind it.
            if (result > 0 || (result == -ECANCELED && op.offset != 0))
                result = std::max(result, 0) + static_cast<int>(op.offset);
            op.offset = 0;
            break;
        default:
            break;
        }
        finish(op, result);
    }

    void finish(operation& op, int result) noexcept
    {
        --in_flight_;
        op.driver_flags = 0;
        complete(op, result);
    }

    /// Goes on with a send that has more pieces, or was cut short by the kernel, unless it was
    /// cancelled. `offset` counts what
    /// the pieces before have sent.
    bool send_rest(operation& op, int sent) noexcept
    {
        if (op.state != operation_state::in_flight)
            return false;
        op.offset += static_cast<u32>(sent);
        op.size -= static_cast<u32>(sent);
        op.data = static_cast<std::byte*>(op.data) + sent;
        enter(op);
        return true;
    }

    /// Deals with a receive that found no buffer. The first time it is armed again so that it takes
    /// a buffer only when data is there (the pool may have been empty while the socket was, too);
    /// the second time data is there, so it queues for a buffer (docs/decisions/0002).
    void wait_for_buffer(operation& op) noexcept
    {
        if (op.state == operation_state::cancelling) {
            finish(op, -ECANCELED);
            return;
        }
        if (!(op.driver_flags & polled_first)) {
            op.driver_flags |= polled_first;
            enter(op, IORING_RECVSEND_POLL_FIRST);
            return;
        }
        op.driver_flags |= starved;
        metrics_.starved.add();
        op.next = nullptr;
        (starved_tail_ ? starved_tail_->next : starved_head_) = &op;
        starved_tail_ = &op;
    }

    /// Starts as many starved receives as there are buffers, at every turn: by level, since a
    /// receive that is woken may find that its data has gone and take no buffer.
    void feed_starved() noexcept
    {
        for (u32 free = buffers_.available(); starved_head_ && free > 0; --free) {
            operation& op = *starved_head_;
            starved_head_ = op.next;
            if (!starved_head_)
                starved_tail_ = nullptr;
            op.driver_flags &= static_cast<u8>(~starved);
            enter(op);
        }
    }

    void remove_starved(operation& op) noexcept
    {
        operation* before = nullptr;
        for (operation* at = starved_head_; at != &op; at = at->next)
            before = at;
        (before ? before->next : starved_head_) = op.next;
        if (starved_tail_ == &op)
            starved_tail_ = before;
    }

    open_ring ring_;
    uring_buffers buffers_;
    int wake_fd_ = -1;
    int attention_fd_ = -1;  // opened when somebody asks for it
    u64 wakes_ = 0;
    wake_operation wake_;
    std::size_t in_flight_ = 0;
    driver_metrics metrics_;
    operation* starved_head_ = nullptr;
    operation* starved_tail_ = nullptr;
};

}  // namespace

std::unique_ptr<driver> open_uring_driver(const driver_options& options)
{
    return std::make_unique<uring_driver>(options);
}

}  // namespace whence::inline v0

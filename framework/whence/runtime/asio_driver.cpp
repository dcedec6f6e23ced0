#include <whence/runtime/driver.hpp>

#include <whence/coro/strand.hpp>
#include <whence/runtime/asio_driver_reactor.hpp>
#include <whence/runtime/buffer_memory.hpp>
#include <whence/runtime/file_io.hpp>
#include <whence/runtime/kernel_driver_clock.hpp>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace whence::inline v0 {

namespace {

// As uring_driver's: a large send is seen to move; see operation::offset.
constexpr u32 send_piece_max = 256 * 1024;  // bytes

// What one listening socket may bring in a turn, before the others have theirs.
constexpr int accepts_max = 64;

// A UNIX socket whose listener's queue is full tells nobody when there is room again.
constexpr nanoseconds retry_time = 2ms;

// operation::driver_flags
constexpr u8 waits_in = 1;    // the reactor has it
constexpr u8 waits_out = 2;   // the reactor has it
constexpr u8 connecting = 4;  // the kernel is at it

/// Keeps operations in the order in which they came.
class operation_queue {
public:
    bool empty() const noexcept { return head_ == nullptr; }
    void push(operation& op) noexcept
    {
        op.next = nullptr;
        (tail_ ? tail_->next : head_) = &op;
        tail_ = &op;
    }
    operation& pop() noexcept
    {
        operation& first = *head_;
        head_ = first.next;
        if (!head_)
            tail_ = nullptr;
        return first;
    }
    void append(operation_queue& other) noexcept
    {
        while (!other.empty())
            push(other.pop());
    }
    /// limits: `last` was pushed last.
    void unpush(operation& last) noexcept
    {
        operation_queue rest;
        while (head_ != &last)
            rest.push(pop());
        *this = rest;
    }
    const operation* first() const noexcept { return head_; }

private:
    operation* head_ = nullptr;
    operation* tail_ = nullptr;
};

/// Lends buffers to the receives of this process; those that are free are poisoned.
class plain_buffers final : buffer_memory, public buffer_pool {
public:
    explicit plain_buffers(const driver_options& options)
        : buffer_memory(options), buffer_pool(begin(), options.buffers_count, options.buffer_size),
          free_(options.buffers_count)
    {
        for (u32 id = 0; id < options.buffers_count; ++id)
            give_back(static_cast<u16>(options.buffers_count - 1 - id), id);
    }

    /// Fills a buffer by `receive(data)`, and takes it if that gave bytes.
    /// limits: one is available.
    template <class Receive>
    int fill(std::byte*& data, Receive receive) noexcept
    {
        data = at(free_[available() - 1]);
        unpoison(data, buffer_size());
        const int result = receive(data);
        const auto filled = static_cast<std::size_t>(std::max(result, 0));
        poison(data + filled, buffer_size() - filled);
        if (result > 0)
            taken();
        return result;
    }

private:
    void give(u16 id) noexcept override { give_back(id, available() - 1); }
    void give_back(u16 id, std::size_t place) noexcept
    {
        poison(at(id), buffer_size());
        free_[place] = id;
    }

    std::vector<u16> free_;  // a stack: the first available() of it
};

int result_of(ssize_t returned) noexcept
{
    return static_cast<int>(returned < 0 ? -errno : returned);
}

/// Owns a descriptor of the driver's own.
struct own_descriptor {
    own_descriptor(int opened, const char* what) : fd(opened)
    {
        if (fd < 0)
            throw std::system_error(errno, std::system_category(), what);
    }
    ~own_descriptor() { ::close(fd); }
    own_descriptor(const own_descriptor&) = delete;
    own_descriptor& operator=(const own_descriptor&) = delete;

    const int fd;
};

class asio_driver final : public driver {
public:
    explicit asio_driver(const driver_options& options)
        : buffers_(options), wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd"),
          others_fd_(epoll_create1(EPOLL_CLOEXEC), "epoll_create1"), reactor_(this, &on_ready)
    {
        wake_.fd = wake_fd_.fd;
        reactor_.wait_for(wake_, asio_reactor::in);
        others_ready_.fd = others_fd_.fd;
        reactor_.wait_for(others_ready_, asio_reactor::in);
    }

    ~asio_driver() override
    {
        ending_ = true;
        for (;;) {
            reactor_.take_all([this](operation& op) noexcept {
                if (&op != &wake_ && &op != &others_ready_)
                    fresh_.push(op);
            });
            for (operation_queue* each : {&starved_, &others_, &retrying_})
                fresh_.append(*each);
            if (fresh_.empty())
                break;
            carry_out_all(std::exchange(fresh_, {}));
        }
    }

    void submit(operation& op) noexcept override { fresh_.push(op); }

    void cancel(operation& op) noexcept override
    {
        asked_back_ = true;
        if (!(op.driver_flags & (waits_in | waits_out)))
            return;  // found where it queues
        reactor_.forget(op, op.driver_flags & waits_in ? asio_reactor::in : asio_reactor::out);
        op.driver_flags = 0;
        fresh_.push(op);
    }

    void close(int fd) noexcept override
    {
        reactor_.release(fd);
        ::close(fd);
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
        const u64 before = metrics_.completions.value();
        if (std::exchange(asked_back_, false))
            give_back_cancelled();
        feed_starved();
        operation_queue now = std::exchange(fresh_, {});
        now.append(retrying_);
        carry_out_all(now);
        if (metrics_.completions.value() != before || !fresh_.empty() || asked_back_ ||
            (!starved_.empty() && buffers_.available() != 0))
            at_most = nanoseconds::zero();
        else if (!retrying_.empty())
            at_most = std::min(at_most, retry_time);
        reactor_.run(at_most);
    }

    void wake() noexcept override
    {
        const u64 one = 1;
        // Full means that a wake-up is pending already.
        [[maybe_unused]] const ssize_t written = ::write(wake_fd_.fd, &one, sizeof one);
    }

    time_point now() noexcept override { return time_point(read_system_clock(CLOCK_MONOTONIC)); }
    nanoseconds wall_now() noexcept override { return read_system_clock(CLOCK_REALTIME); }
    buffer_pool& buffers() noexcept override { return buffers_; }
    const driver_metrics& metrics() const noexcept override { return metrics_; }
    const char* name() const noexcept override { return "asio"; }

private:
    // ---- what the reactor tells ---------------------------------------------------------------

    static void on_ready(void* driver, operation& op, int error) noexcept
    {
        auto& self = *static_cast<asio_driver*>(driver);
        if (&op == &self.wake_)
            self.on_woken();
        else if (&op == &self.others_ready_)
            self.on_others_ready();
        else {
            op.driver_flags &= connecting;
            if (error != 0)
                self.finish(op, -error);
            else
                self.carry_out(op, true);
        }
    }

    void on_woken() noexcept
    {
        u64 times = 0;
        [[maybe_unused]] const ssize_t size = ::read(wake_fd_.fd, &times, sizeof times);
        reactor_.wait_for(wake_, asio_reactor::in);  // in the memory that has just come back
    }

    /// Tries those again that wait for a descriptor that is not ours.
    void on_others_ready() noexcept
    {
        std::array<epoll_event, 16> ready{};
        while (epoll_wait(others_fd_.fd, ready.data(), static_cast<int>(ready.size()), 0) > 0) {
        }
        reactor_.wait_for(others_ready_, asio_reactor::in);
        carry_out_all(std::exchange(others_, {}));
    }

    // ---- waiting ------------------------------------------------------------------------------

    void wait_until(asio_reactor::direction way, operation& op) noexcept
    {
        try {
            reactor_.wait_for(op, way);
            op.driver_flags |= way == asio_reactor::in ? waits_in : waits_out;
        } catch (const std::system_error& error) {
            finish(op, -error.code().value());
        } catch (const std::bad_alloc&) {
            finish(op, -ENOMEM);
        }
    }

    /// Waits without the reactor's change of mode, for a descriptor that others may have, too.
    void wait_for_other(operation& op) noexcept
    {
        others_.push(op);
        epoll_event wanted{};
        wanted.events = EPOLLONESHOT;
        for (const operation* each = others_.first(); each; each = each->next) {
            if (each->fd == op.fd)
                wanted.events |= each->what == verb::read ? EPOLLIN : EPOLLOUT;
        }
        if (epoll_ctl(others_fd_.fd, EPOLL_CTL_MOD, op.fd, &wanted) == 0 ||
            (errno == ENOENT && epoll_ctl(others_fd_.fd, EPOLL_CTL_ADD, op.fd, &wanted) == 0))
            return;
        const int error = errno;
        others_.unpush(op);
        finish(op, -error);
    }

    /// Gives as many of the receives that found no buffer another turn as there are buffers, by
    /// level: one may find that its data has gone, and take none.
    void feed_starved() noexcept
    {
        while (!starved_.empty() && buffers_.available() != 0)
            carry_out(starved_.pop(), true);
    }

    /// Finds those that were cancelled where they queue.
    void give_back_cancelled() noexcept
    {
        for (operation_queue* queue : {&starved_, &others_, &retrying_}) {
            operation_queue all = std::exchange(*queue, {});
            while (!all.empty()) {
                operation& op = all.pop();
                (op.state == operation_state::cancelling ? fresh_ : *queue).push(op);
            }
        }
    }

    // ---- carrying out -------------------------------------------------------------------------

    void carry_out_all(operation_queue all) noexcept
    {
        while (!all.empty())
            carry_out(all.pop());
    }

    /// Makes the system call; `ready`: the reactor says that it will not be in vain.
    void carry_out(operation& op, bool ready = false) noexcept
    {
        if (op.state == operation_state::cancelling || ending_) {
            const bool sent = op.what == verb::send && op.offset != 0;
            finish(op, sent ? static_cast<int>(op.offset) : -ECANCELED);
            return;
        }
        switch (op.what) {
        case verb::nothing:
            finish(op, 0);
            break;
        case verb::accept_many:
            accept(op, ready);
            break;
        case verb::connect:
            connect(op);
            break;
        case verb::recv:
        case verb::recv_pooled:
            receive(op, ready);
            break;
        case verb::send:
            send(op);
            break;
        case verb::read:
        case verb::write:
            const int result = read_or_write(op);
            if (result == -EAGAIN)
                wait_for_other(op);
            else
                finish(op, result);
            break;
        }
    }

    void finish(operation& op, int result) noexcept
    {
        // Whoever closes these two need not ask the driver to.
        if (op.what == verb::accept_many || op.what == verb::connect)
            reactor_.release(op.fd);
        else if (op.what == verb::send)
            op.offset = 0;
        op.driver_flags = 0;
        metrics_.completions.add();
        complete(op, result);
    }

    void accept(operation& op, bool ready) noexcept
    {
        // A listening socket does not block once the reactor has waited for it.
        for (int accepted = 0; ready; ++accepted) {
            const int fd = result_of(::accept4(op.fd, nullptr, nullptr, SOCK_CLOEXEC));
            if (fd == -EAGAIN)
                break;
            if (fd < 0) {
                finish(op, fd);
                return;
            }
            metrics_.completions.add();
            op.result = fd;
            op.done(op);
            if (accepted == accepts_max || op.state != operation_state::in_flight) {
                fresh_.push(op);
                return;
            }
        }
        wait_until(asio_reactor::in, op);
    }

    void connect(operation& op) noexcept
    {
        if (op.driver_flags & connecting) {
            pollfd over{op.fd, POLLOUT, 0};
            if (::poll(&over, 1, 0) == 0) {
                wait_until(asio_reactor::out, op);
                return;
            }
            int error = 0;
            socklen_t size = sizeof error;
            getsockopt(op.fd, SOL_SOCKET, SO_ERROR, &error, &size);
            finish(op, -error);
            return;
        }
        int on = 1;
        ::ioctl(op.fd, FIONBIO, &on);
        const int result = result_of(::connect(op.fd, static_cast<sockaddr*>(op.data), op.size));
        if (result == -EINPROGRESS) {
            op.driver_flags |= connecting;
            wait_until(asio_reactor::out, op);
        } else if (result == -EAGAIN) {
            retrying_.push(op);
        } else {
            finish(op, result);
        }
    }

    void receive(operation& op, bool ready) noexcept
    {
        if (!ready && !reactor_.worth_reading(op.fd)) {
            wait_until(asio_reactor::in, op);
            return;
        }
        const bool pooled = op.what == verb::recv_pooled;
        if (pooled && buffers_.available() == 0) {
            if (ready) {
                metrics_.starved.add();
                starved_.push(op);
            } else {  // nobody knows whether data is there
                wait_until(asio_reactor::in, op);
            }
            return;
        }
        u32 size = op.size;
        const auto into = [&op, &size](std::byte* data) noexcept {
            return result_of(::recv(op.fd, data, size, MSG_DONTWAIT));
        };
        int result = 0;
        if (pooled) {
            size = size == 0 ? buffers_.buffer_size() : std::min(size, buffers_.buffer_size());
            std::byte* data = nullptr;
            result = buffers_.fill(data, into);
            op.data = data;
        } else {
            result = into(static_cast<std::byte*>(op.data));
        }
        // One that was filled may have left something.
        reactor_.set_worth_reading(op.fd, result == static_cast<int>(size));
        if (result == -EAGAIN)
            wait_until(asio_reactor::in, op);
        else
            finish(op, result);
    }

    void send(operation& op) noexcept
    {
        const u32 piece = std::min(op.size, send_piece_max);
        const int result = result_of(::send(op.fd, op.data, piece, MSG_DONTWAIT | MSG_NOSIGNAL));
        if (result == -EAGAIN) {
            wait_until(asio_reactor::out, op);
            return;
        }
        const auto sent = static_cast<u32>(std::max(result, 0));
        if (result < 0 || sent == op.size) {
            finish(op, result < 0 ? result : static_cast<int>(op.offset + sent));
            return;
        }
        op.offset += sent;
        op.data = static_cast<std::byte*>(op.data) + sent;
        op.size -= sent;
        if (sent < piece)
            wait_until(asio_reactor::out, op);
        else
            fresh_.push(op);
    }

    plain_buffers buffers_;
    own_descriptor wake_fd_;
    own_descriptor others_fd_;  // an epoll(7) of descriptors that are not ours
    operation wake_;
    operation others_ready_;
    asio_reactor reactor_;
    operation_queue fresh_;     // to be carried out in the next wait()
    operation_queue starved_;   // have data waiting and queue for a buffer
    operation_queue others_;    // wait for others_fd_
    operation_queue retrying_;  // wait for time to pass
    bool asked_back_ = false;   // somebody was cancelled
    bool ending_ = false;
    driver_metrics metrics_;
};

}  // namespace

std::unique_ptr<driver> open_asio_driver(const driver_options& options)
{
    return std::make_unique<asio_driver>(options);
}

}  // namespace whence::inline v0

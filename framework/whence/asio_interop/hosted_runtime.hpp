#pragma once

#include <whence/runtime/json_line.hpp>
#include <whence/runtime/runtime.hpp>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include <thread>

namespace whence::inline v0::asio_interop {

namespace internal {

/// Turns a runtime whenever its driver has something, its next timer is due, or it was asked to.
/// shape: what it awaits holds it weakly, and may come after its end.
class runtime_turner : public std::enable_shared_from_this<runtime_turner> {
public:
    runtime_turner(asio::io_context& host, std::unique_ptr<driver> io)
        : host_(host), runtime_(std::move(io)), driver_ready_(host, attention_of(runtime_.io())),
          due_(host),
          stop_asked_(
              runtime_.mail(), [](void* root) noexcept { static_cast<scope*>(root)->stop(); },
              &runtime_.root())
    {}
    ~runtime_turner() { driver_ready_.release(); }  // the descriptor is the driver's
    runtime_turner(const runtime_turner&) = delete;
    runtime_turner& operator=(const runtime_turner&) = delete;

    runtime& turned() noexcept { return runtime_; }
    asio::io_context& host() noexcept { return host_; }

    /// From any thread.
    void send(whence::internal::message& one)
    {
        runtime_.mail().push(one);
        turn_soon();
    }
    void turn_soon()
    {
        asio::post(host_, [weak = weak_from_this()] {
            if (const auto self = weak.lock())
                self->turn();
        });
    }
    void ask_to_stop()
    {
        stop_asked_.raise();
        turn_soon();
    }

    /// Stops all tasks, and turns until they have ended; the host as well, for whose operations
    /// some may wait.
    void end()
    {
        ending_ = true;
        stop_asked_.raise();
        step();
        while (!runtime_.ended()) {
            if (host_.stopped())  // before, or by a handler that has just run
                host_.restart();
            host_.run_one();
        }
        rest();
    }

private:
    static int attention_of(driver& io)
    {
        const int fd = io.attention_fd();
        if (fd < 0)
            throw driver_unavailable("a runtime inside an io_context needs a driver with an "
                                     "attention_fd(); this one has none");
        return fd;
    }

    nanoseconds step() noexcept
    {
        expects(std::this_thread::get_id() == thread_,
                "a hosted runtime is made in the one thread that runs its io_context");
        expects(whence::internal::ctx.running != &runtime_,
                "a task does not run the io_context that hosts it");
        return runtime_.step();
    }

    void turn()
    {
        const nanoseconds idle = step();
        if (runtime_.ended()) {
            rest();
            if (!ending_)
                runtime_.finish();
        } else if (idle == nanoseconds::zero()) {
            go_on();
        } else {
            await_driver();
            if (idle != nanoseconds::max())
                await_time(idle);
        }
    }

    /// A runtime without tasks is no work for its host.
    void rest()
    {
        driver_ready_.cancel();
        due_.cancel();
    }

    void go_on()
    {
        if (std::exchange(turning_, true))
            return;
        asio::post(host_, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) {
                self->turning_ = false;
                self->turn();
            }
        });
    }

    void await_driver()
    {
        if (std::exchange(listening_, true))
            return;
        driver_ready_.async_wait(asio::posix::stream_descriptor::wait_read,
                                 [weak = weak_from_this()](const std::error_code& error) {
                                     const auto self = weak.lock();
                                     if (!self)
                                         return;
                                     self->listening_ = false;
                                     // A rest that was over before this came must not leave it
                                     // deaf.
                                     if (!error || !self->runtime_.ended())
                                         self->turn();
                                 });
    }

    /// A timer that comes too early costs a turn, less than setting it anew at each.
    void await_time(nanoseconds idle)
    {
        const time_point moment = later(runtime_.io().now(), idle);
        if (timed_ && moment_ <= moment)
            return;
        timed_ = true;
        moment_ = moment;
        due_.expires_after(idle);
        due_.async_wait([weak = weak_from_this(), moment](const std::error_code&) {
            const auto self = weak.lock();
            if (!self || self->moment_ != moment)
                return;
            self->timed_ = false;
            if (!self->runtime_.ended())
                self->turn();
        });
    }

    const std::thread::id thread_ = std::this_thread::get_id();
    asio::io_context& host_;
    runtime runtime_;
    asio::posix::stream_descriptor driver_ready_;
    asio::steady_timer due_;
    time_point moment_{};  // for which the timer is set
    bool timed_ = false;
    bool listening_ = false;  // awaits the driver
    bool ending_ = false;     // whoever ends it takes what is left to throw
    bool turning_ = false;    // has a turn posted because there is more to do
    whence::internal::notice stop_asked_;
};

}  // namespace internal

/// Runs whence inside a program whose loop is an asio::io_context: tasks, started with spawn(), and
/// Asio's handlers take turns in its one thread.
///   asio::io_context io;
///   asio_interop::hosted_runtime here{io};
///   asio_interop::spawn(here, serve("[::]:7000", app), when_it_has_ended);
///   io.run();
/// limits: made, and destroyed, in the thread that runs the io_context, which only one does. The
/// io_context outlives it. A runtime without tasks does not keep io_context::run() from returning.
/// errors: driver_unavailable. What tasks left in root() throw comes out of io_context::run(), once
/// all have ended.
class hosted_runtime {
public:
    /// Over an io_uring of its own.
    explicit hosted_runtime(asio::io_context& host, const driver_options& options = {})
        : hosted_runtime(host, open_uring_driver(options))
    {}
    hosted_runtime(asio::io_context& host, std::unique_ptr<driver> io)
        : turner_(std::make_shared<internal::runtime_turner>(host, std::move(io)))
    {}
    hosted_runtime(const hosted_runtime&) = delete;
    hosted_runtime& operator=(const hosted_runtime&) = delete;
    /// Stops the tasks and waits until they have ended. While it waits, the io_context runs: other
    /// handlers, too, and, if it was stopped, again; what those throw ends the program.
    ~hosted_runtime()
    {
        turner_->end();
        try {
            get().finish();
        } catch (const cancelled&) {
            // That is what it has just asked for.
        } catch (const std::exception& error) {
            report(error.what());
        } catch (...) {
            report("unknown exception");
        }
    }

    /// The runtime: for its counters, its dump, its logs. It is turned by the io_context alone.
    runtime& get() noexcept { return turner_->turned(); }
    asio::io_context& host() noexcept { return turner_->host(); }

    /// Lets servers stop accepting and finish their sessions, as SIGTERM does with run(). From any
    /// thread.
    void drain()
    {
        get().ask_to_drain();
        turner_->turn_soon();
    }
    /// Stops all tasks; later ones start stopped. From any thread.
    void stop() { turner_->ask_to_stop(); }

    /// Tells whether no task is left.
    bool ended() noexcept { return get().ended(); }

    /// Takes a message for the runtime, from any thread.
    void send(whence::internal::message& one) { turner_->send(one); }

private:
    void report(const char* what) noexcept
    {
        try {
            get().errors().line(json_line("error").add("error", what).text());
        } catch (const std::bad_alloc&) {
            // Memory is what is missing.
        }
    }

    std::shared_ptr<internal::runtime_turner> turner_;
};

}  // namespace whence::inline v0::asio_interop

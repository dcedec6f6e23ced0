#pragma once

#include "support/test_driver.hpp"

#include <whence/net/connect.hpp>
#include <whence/net/listener.hpp>
#include <whence/runtime/fault_driver.hpp>
#include <whence/runtime/runtime_group.hpp>

#include <condition_variable>
#include <mutex>
#include <thread>

namespace support {

/// Ends the process when a test takes too long, after printing where each of its tasks waits.
class watchdog {
public:
    explicit watchdog(whence::runtime& watched,
                      std::chrono::seconds time_max = std::chrono::seconds{60});
    ~watchdog();

private:
    std::mutex lock_;
    std::condition_variable ended_;
    bool stop_ = false;
    std::thread thread_;
};

/// Counts the process's open descriptors.
std::size_t open_descriptors();

/// Fails the test when frames, pool buffers or descriptors are left behind between its beginning
/// and its end.
class leak_check {
public:
    leak_check();
    void pool_is_whole(whence::buffer_pool& pool) const;
    void nothing_left() const;
    void descriptors_closed() const;

private:
    whence::frame_usage frames_;
    std::size_t descriptors_;
};

/// Runs a coroutine made by `body` in a runtime of its own, bounded in time and without leaks.
template <class Body>
void run_here(Body body, const whence::driver_options& options = {})
{
    const leak_check leaks;
    {
        whence::runtime here{open_test_driver(options)};
        watchdog bounded{here};
        here.run(body());
        leaks.pool_is_whole(here.io().buffers());
    }
    leaks.nothing_left();
}

/// Runs a coroutine made by `body` in the first of several runtimes, bounded in time; pools and
/// descriptors are whole at the end. Frames are counted by thread, and may end in another's count.
template <class Body>
void run_in_group(whence::u32 threads, Body body)
{
    const leak_check leaks;
    {
        whence::runtime_group group{{.threads = threads, .driver = test_driver()}};
        watchdog bounded{*group.runtimes()[0]};
        group.run(body());
        for (whence::runtime* const each : group.runtimes())
            leaks.pool_is_whole(each->io().buffers());
    }
    leaks.descriptors_closed();
}

/// Runs `body` again and again, with the 1st, 2nd, ... operation meeting a fault, until one run has
/// fewer operations than that. What the body throws is the fault's doing; leaks and hangs are not.
template <class Body>
void run_with_every_fault(Body body)
{
    using whence::fault;
    for (const fault::kind what : {fault::kind::fail, fault::kind::cut, fault::kind::late}) {
        bool met = true;
        for (whence::u64 k = 1; met; ++k) {
            const leak_check leaks;
            {
                auto io = std::make_unique<whence::fault_driver>(open_test_driver(),
                                                                 fault{.at = k, .what = what});
                const whence::fault_driver& faulty = *io;
                whence::runtime here{std::move(io)};
                watchdog bounded{here};
                try {
                    here.run(body());
                } catch (const std::exception&) {
                }
                met = faulty.submitted() >= k;
                leaks.pool_is_whole(here.io().buffers());
            }
            leaks.nothing_left();
        }
    }
}

/// Lets the runtime turn until all that is under way on loopback has arrived.
whence::task<> settle();

/// Holds both ends of one TCP connection on loopback.
struct connected_pair {
    whence::connection client;
    whence::connection server;
};

whence::task<connected_pair> connect_pair();

}  // namespace support

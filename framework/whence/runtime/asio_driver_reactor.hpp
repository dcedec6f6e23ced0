#pragma once

// Not a public header: only asio_driver knows Asio.

#include <whence/base/check.hpp>
#include <whence/coro/operation.hpp>
#include <whence/coro/time.hpp>

// A program may use another version of Asio, or this one configured otherwise: what is compiled
// into whence gets a name of its own, so that the linker does not mix the two.
#define asio whence_v0_asio  // NOLINT(readability-identifier-naming)
#include <asio/io_context.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

namespace whence::inline v0 {

/// Lends memory for what Asio keeps while it waits: blocks of one size, which come back and stay.
class wait_memory {
public:
    void* take(std::size_t size)
    {
        expects(size <= sizeof(block), "what Asio keeps for a wait fits into a block");
        if (!free_) {
            slabs_.push_back(std::make_unique<slab>());
            for (block& each : *slabs_.back())
                give(&each);
        }
        block* const taken = free_;
        free_ = taken->next;
        return taken;
    }
    void give(void* memory) noexcept { free_ = new (memory) block{.next = free_}; }

private:
    union block {
        block* next = nullptr;
        alignas(std::max_align_t) std::array<std::byte, 112> bytes;
    };
    using slab = std::array<block, 32>;

    block* free_ = nullptr;
    std::vector<std::unique_ptr<slab>> slabs_;
};

/// Tells when descriptors can be read or written, one waiting operation for each direction.
/// shape: what is asked for at a moment when it is so already is told as well (by level).
/// limits: switches what it waits for to non-blocking mode.
class asio_reactor {
public:
    enum direction : u8 { in, out };

    /// Is told that an operation need not wait any more: `error` is 0 or a positive errno value.
    using ready_call = void (*)(void* self, operation& op, int error) noexcept;

    asio_reactor(void* self, ready_call ready)
        : context_(ASIO_CONCURRENCY_HINT_UNSAFE), self_(self), ready_(ready)
    {}
    ~asio_reactor()
    {
        for (watch* const each : watches_) {
            if (each)
                release(*each);  // the descriptors belong to others
        }
    }
    asio_reactor(const asio_reactor&) = delete;
    asio_reactor& operator=(const asio_reactor&) = delete;

    /// Takes an operation until its descriptor is ready.
    /// errors: std::system_error, std::bad_alloc; it has not been taken then.
    void wait_for(operation& op, direction way)
    {
        watch& on = watch_of(op.fd);
        expects(!on.waiting[way], "one operation waits for a direction of a descriptor at a time");
        if (!on.armed[way]) {
            const auto kind = way == in ? descriptor::wait_read : descriptor::wait_write;
            on.at.async_wait(kind, ready_handler{*this, on, way});
            on.armed[way] = true;
        }
        on.waiting[way] = &op;
    }

    /// Gives an operation back that waits.
    void forget(operation& op, direction way) noexcept
    {
        watches_[static_cast<std::size_t>(op.fd)]->waiting[way] = nullptr;
    }

    /// Gives all back that wait.
    template <class Take>
    void take_all(Take take) noexcept
    {
        for (watch& each : storage_) {
            for (operation*& waiting : each.waiting) {
                if (operation* const op = std::exchange(waiting, nullptr))
                    take(*op);
            }
        }
    }

    /// Tells that something has come since, or that nobody has looked yet.
    bool worth_reading(int fd) const noexcept
    {
        const auto index = static_cast<std::size_t>(fd);
        return index >= watches_.size() || !watches_[index] || watches_[index]->worth_reading;
    }
    void set_worth_reading(int fd, bool worth) noexcept
    {
        const auto index = static_cast<std::size_t>(fd);
        if (index < watches_.size() && watches_[index])
            watches_[index]->worth_reading = worth;
    }

    /// Forgets a descriptor, before it is closed.
    void release(int fd) noexcept
    {
        const auto index = static_cast<std::size_t>(fd);
        if (index >= watches_.size() || !watches_[index])
            return;
        watch& known = *std::exchange(watches_[index], nullptr);
        release(known);
        known.next_free = free_;
        free_ = &known;
    }

    /// Waits at most so long until something is ready, and tells.
    void run(nanoseconds at_most) noexcept
    {
        if (at_most > nanoseconds::zero()) {
            const std::size_t told = at_most == nanoseconds::max()
                                         ? context_.run_one()
                                         : context_.run_one_for(std::min(at_most, run_time_max));
            if (told == 0)
                return;
        }
        context_.poll();
    }

private:
    static constexpr nanoseconds run_time_max = std::chrono::hours{24};  // far from overflow

    using descriptor = asio::posix::basic_stream_descriptor<asio::io_context::executor_type>;

    /// Is a descriptor's entry, then another's: handlers on their way may still point to it.
    struct watch {
        explicit watch(asio::io_context& context) : at(context) {}

        descriptor at;
        std::array<operation*, 2> waiting{};
        std::array<bool, 2> armed{};  // Asio waits, although perhaps nobody waits for it any more
        bool worth_reading = true;
        u32 generation = 0;  // counts the descriptors that have had it
        watch* next_free = nullptr;
    };

    template <class T>
    struct wait_allocator {
        using value_type = T;

        explicit wait_allocator(wait_memory& from) noexcept : memory(&from) {}
        template <class U>
        explicit wait_allocator(const wait_allocator<U>& other) noexcept : memory(other.memory)
        {}
        T* allocate(std::size_t count) { return static_cast<T*>(memory->take(count * sizeof(T))); }
        void deallocate(T* at, std::size_t) noexcept { memory->give(at); }
        bool operator==(const wait_allocator&) const noexcept = default;

        wait_memory* memory;
    };

    struct ready_handler {
        using allocator_type = wait_allocator<std::byte>;

        ready_handler(asio_reactor& of, watch& seen, direction wanted) noexcept
            : self(&of), on(&seen), generation(seen.generation), way(wanted)
        {}
        allocator_type get_allocator() const noexcept { return allocator_type{self->memory_}; }
        void operator()(const std::error_code& error) const noexcept
        {
            if (generation == on->generation)
                self->tell(*on, way, error.value());
        }

        asio_reactor* self;
        watch* on;
        u32 generation;
        direction way;
    };

    watch& watch_of(int fd)
    {
        const auto index = static_cast<std::size_t>(fd);
        if (index >= watches_.size())
            watches_.resize(index + 1);
        if (watches_[index])
            return *watches_[index];
        if (!free_)
            free_ = &storage_.emplace_back(context_);
        watch& fresh = *free_;
        fresh.at.assign(fd);
        free_ = fresh.next_free;
        watches_[index] = &fresh;
        return fresh;
    }

    static void release(watch& which) noexcept
    {
        which.at.release();
        ++which.generation;
        which.waiting = {};
        which.armed = {};
        which.worth_reading = true;
    }

    void tell(watch& on, direction way, int error) noexcept
    {
        on.armed[way] = false;
        operation* const op = std::exchange(on.waiting[way], nullptr);
        if (op)
            ready_(self_, *op, error);
        else if (way == in)
            on.worth_reading = true;
    }

    wait_memory memory_;  // Asio's own end gives back to it
    asio::io_context context_;
    void* self_;
    ready_call ready_;
    std::deque<watch> storage_;
    watch* free_ = nullptr;
    std::vector<watch*> watches_;  // by descriptor
};

}  // namespace whence::inline v0

#undef asio

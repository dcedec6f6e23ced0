#pragma once

// Not a public header: only uring_driver knows liburing.

#include <whence/base/sanitizer.hpp>
#include <whence/runtime/driver.hpp>
#include <whence/runtime/uring_unavailable.hpp>

#include <liburing.h>

#include <sys/mman.h>

#include <cerrno>
#include <system_error>

namespace whence::inline v0 {

/// Lends buffers through a ring that the kernel reads: io_uring_setup_buf_ring(3).
class uring_buffers final : public buffer_pool {
public:
    static constexpr int group = 0;

    uring_buffers(io_uring& ring, std::byte* memory, const driver_options& options)
        : buffer_pool(memory, options.buffers_count, options.buffer_size), ring_(ring),
          memory_(memory), bytes_(std::size_t{options.buffers_count} * options.buffer_size),
          mask_(io_uring_buf_ring_mask(options.buffers_count))
    {
        int error = 0;
        shared_ = io_uring_setup_buf_ring(&ring_, options.buffers_count, group, 0, &error);
        if (!shared_) {
            munmap(memory_, bytes_);
            throw driver_unavailable(explain_uring_error(-error, "register a buffer ring"));
        }
        for (u32 id = 0; id < options.buffers_count; ++id)
            give(static_cast<u16>(id));
    }

    ~uring_buffers() override
    {
        io_uring_free_buf_ring(&ring_, shared_, count(), group);
        unpoison(memory_, bytes_);
        munmap(memory_, bytes_);
    }

    static std::byte* map(const driver_options& options)
    {
        const std::size_t bytes = std::size_t{options.buffers_count} * options.buffer_size;
        void* memory =
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            throw std::system_error(errno, std::system_category(), "mmap of the buffer pool");
        return static_cast<std::byte*>(memory);
    }

    std::byte* take(u16 id, int size) noexcept
    {
        taken();
        if (size > 0)
            unpoison(at(id), static_cast<std::size_t>(size));
        return at(id);
    }

private:
    void give(u16 id) noexcept override
    {
        poison(at(id), buffer_size());
        io_uring_buf_ring_add(shared_, at(id), buffer_size(), id, mask_, 0);
        io_uring_buf_ring_advance(shared_, 1);
    }

    io_uring& ring_;
    std::byte* memory_;
    std::size_t bytes_;
    int mask_;
    io_uring_buf_ring* shared_ = nullptr;
};

}  // namespace whence::inline v0

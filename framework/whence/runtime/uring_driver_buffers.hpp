#pragma once

// Not a public header: only uring_driver knows liburing.

#include <whence/runtime/buffer_memory.hpp>
#include <whence/runtime/uring_unavailable.hpp>

#include <liburing.h>

namespace whence::inline v0 {

/// Lends buffers through a ring that the kernel reads: io_uring_setup_buf_ring(3).
class uring_buffers final : buffer_memory, public buffer_pool {
public:
    static constexpr int group = 0;

    uring_buffers(io_uring& ring, const driver_options& options)
        : buffer_memory(options), buffer_pool(begin(), options.buffers_count, options.buffer_size),
          ring_(ring), mask_(io_uring_buf_ring_mask(options.buffers_count))
    {
        int error = 0;
        shared_ = io_uring_setup_buf_ring(&ring_, options.buffers_count, group, 0, &error);
        if (!shared_)
            throw uring_unavailable(-error, "register a buffer ring");
        for (u32 id = 0; id < options.buffers_count; ++id)
            give(static_cast<u16>(id));
    }

    ~uring_buffers() override { io_uring_free_buf_ring(&ring_, shared_, count(), group); }

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
    int mask_;
    io_uring_buf_ring* shared_ = nullptr;
};

}  // namespace whence::inline v0

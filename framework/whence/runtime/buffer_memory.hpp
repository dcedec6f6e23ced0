#pragma once

// Not a public header: it brings the operating system along.

#include <whence/base/sanitizer.hpp>
#include <whence/runtime/driver.hpp>

#include <sys/mman.h>

#include <cerrno>
#include <system_error>

namespace whence::inline v0 {

/// Owns the pages in which a pool's buffers lie.
class buffer_memory {
public:
    explicit buffer_memory(const driver_options& options)
        : bytes_(std::size_t{options.buffers_count} * options.buffer_size)
    {
        void* const pages =
            mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED)
            throw std::system_error(errno, std::system_category(), "mmap of the buffer pool");
        begin_ = static_cast<std::byte*>(pages);
    }
    ~buffer_memory()
    {
        unpoison(begin_, bytes_);
        munmap(begin_, bytes_);
    }
    buffer_memory(const buffer_memory&) = delete;
    buffer_memory& operator=(const buffer_memory&) = delete;

    std::byte* begin() const noexcept { return begin_; }

private:
    std::size_t bytes_;
    std::byte* begin_ = nullptr;
};

}  // namespace whence::inline v0

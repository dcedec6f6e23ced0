#pragma once

#include <cstddef>
#include <cstdint>

namespace whence::inline v0 {

/// Allocates a coroutine frame from the thread's free list of its 16-byte class.
/// shape: frames up to 2 KiB come out of 64-KiB slabs and go back to the list of the thread that
/// frees them; larger ones, and all of them under AddressSanitizer, come from operator new.
/// errors: std::bad_alloc.
void* allocate_frame(std::size_t size);

/// Frees what allocate_frame(size) gave.
void free_frame(void* frame, std::size_t size) noexcept;

/// Counts this thread's frames: those in use, and their bytes in whole classes.
struct frame_usage {
    std::int64_t frames = 0;  // negative when this thread freed more than it allocated
    std::int64_t bytes = 0;
};
frame_usage frames_in_use() noexcept;

}  // namespace whence::inline v0

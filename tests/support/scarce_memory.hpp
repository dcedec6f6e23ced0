#pragma once

#include <cstddef>
#include <limits>

// What operator new has and counts, for each thread by itself. A program that is linked with
// scarce_memory.cpp has this operator new; ThreadSanitizer brings one of its own.
namespace support {

/// Counts the allocations of this thread.
std::size_t allocations() noexcept;

constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

/// Lets this thread have `count` more blocks, until it is told otherwise.
void leave_blocks(std::size_t count) noexcept;

/// Lets one allocation of this thread fail, the first being 1; forgets it when it did not come.
class fuse {
public:
    explicit fuse(std::size_t allocation) noexcept;
    ~fuse();
    fuse(const fuse&) = delete;
    fuse& operator=(const fuse&) = delete;

    static bool blown() noexcept;
};

}  // namespace support

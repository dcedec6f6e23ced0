#include "scarce_memory.hpp"

#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t allocated = 0;
thread_local std::size_t blocks_left = support::unlimited;
thread_local std::size_t fails_in = 0;  // the how-manieth allocation from now; 0: none

}  // namespace

void* operator new(std::size_t size)
{
    ++allocated;
    if ((fails_in != 0 && --fails_in == 0) || blocks_left == 0)
        throw std::bad_alloc{};
    if (blocks_left != support::unlimited)
        --blocks_left;
    if (void* const block = std::malloc(size == 0 ? 1 : size))
        return block;
    throw std::bad_alloc{};
}
void operator delete(void* block) noexcept
{
    std::free(block);
}
void operator delete(void* block, std::size_t) noexcept
{
    std::free(block);
}
// AddressSanitizer's arrays do not go through operator new.
void* operator new[](std::size_t size)
{
    return operator new(size);
}
void operator delete[](void* block) noexcept
{
    std::free(block);
}
void operator delete[](void* block, std::size_t) noexcept
{
    std::free(block);
}

namespace support {

std::size_t allocations() noexcept
{
    return allocated;
}

void leave_blocks(std::size_t count) noexcept
{
    blocks_left = count;
}

fuse::fuse(std::size_t allocation) noexcept
{
    fails_in = allocation;
}

fuse::~fuse()
{
    fails_in = 0;
}

bool fuse::blown() noexcept
{
    return fails_in == 0;
}

}  // namespace support

#include <whence/runtime/buffers.hpp>

#include "support/plain_pool.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstdlib>
#include <new>

using namespace whence;

namespace {

bool memory_has_run_out = false;

}  // namespace

void* operator new(std::size_t size)
{
    void* const memory = memory_has_run_out ? nullptr : std::malloc(size);
    if (!memory)
        throw std::bad_alloc{};
    return memory;
}
void operator delete(void* memory) noexcept
{
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept
{
    std::free(memory);
}

TEST_CASE("without memory what is received stays in the pool", "[runtime]")
{
    support::plain_pool pool{8};
    std::array<receive_queue, 8> queues;
    memory_has_run_out = true;
    for (receive_queue& queue : queues)
        support::receive_into(queue, pool, "message");
    memory_has_run_out = false;
    CHECK(pool.available() == 0);
    for (const receive_queue& queue : queues)
        CHECK(support::text_of(queue) == "message");
}

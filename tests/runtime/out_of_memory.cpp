#include <whence/runtime/buffers.hpp>

#include "support/plain_pool.hpp"
#include "support/scarce_memory.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>

using namespace whence;

TEST_CASE("without memory what is received stays in the pool", "[runtime]")
{
    support::plain_pool pool{8};
    std::array<receive_queue, 8> queues;
    support::leave_blocks(0);
    for (receive_queue& queue : queues)
        support::receive_into(queue, pool, "message");
    support::leave_blocks(support::unlimited);
    CHECK(pool.available() == 0);
    for (const receive_queue& queue : queues)
        CHECK(support::text_of(queue) == "message");
}

#include <whence/runtime/buffers.hpp>

#include "support/aborts.hpp"
#include "support/plain_pool.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <string>
#include <vector>

using namespace whence;
using support::abort_message_of;
using support::plain_pool;
using support::receive_into;
using support::text_of;

namespace {

void append_to(receive_queue& queue, std::string_view text)
{
    const mutable_bytes room = queue.prepare(text.size());
    REQUIRE(room.size() >= text.size());
    std::memcpy(room.data(), text.data(), text.size());
    queue.commit(text.size());
}

}  // namespace

TEST_CASE("a chunk gives its buffer back once, wherever it is moved", "[runtime]")
{
    plain_pool pool{4};
    receive_queue queue;
    receive_into(queue, pool, "hello");
    CHECK(pool.available() == 3);
    {
        chunk first = queue.take();
        CHECK(queue.empty());
        CHECK(first.text() == "hello");
        chunk second{std::move(first)};
        CHECK_FALSE(first);
        chunk third;
        third = std::move(second);
        CHECK(third.size() == 5);
        CHECK(pool.available() == 3);
    }
    CHECK(pool.available() == 4);
}

TEST_CASE("a chunk that outlives its pool is a programmer error", "[runtime]")
{
    const std::string said = abort_message_of([] {
        chunk kept;
        {
            plain_pool pool{4};
            receive_queue queue;
            receive_into(queue, pool, "hello");
            kept = queue.take();
        }
        kept = chunk{};
    });
    CHECK(said.find("a chunk") != said.npos);
}

TEST_CASE("a buffer goes back as soon as its last byte is consumed", "[runtime]")
{
    plain_pool pool{4};
    receive_queue queue;
    const std::string full(plain_pool::size, 'x');
    receive_into(queue, pool, full);
    queue.consume(plain_pool::size - 1);
    CHECK(pool.available() == 3);
    CHECK(text_of(queue) == "x");
    queue.consume(1);
    CHECK(pool.available() == 4);
    CHECK(queue.empty());
}

TEST_CASE("bytes that wait for more leave the pool for a heap block of their size", "[runtime]")
{
    plain_pool pool{4};
    receive_queue queue;
    receive_into(queue, pool, "ab");
    append_to(queue, "c");
    CHECK(pool.available() == 4);
    CHECK(text_of(queue) == "abc");
    queue.consume(1);
    for (int i = 0; i < 1000; ++i)
        append_to(queue, "0123456789");
    CHECK(queue.bytes().size() == 10'002);
    CHECK(text_of(queue).starts_with("bc0123456789"));
    chunk all = queue.take();
    CHECK(all.size() == 10'002);
}

TEST_CASE("a consumed front of a heap block is not copied along", "[runtime]")
{
    plain_pool pool{4};
    receive_queue queue;
    receive_into(queue, pool, "header|payload");
    append_to(queue, "-more");
    queue.consume(7);
    CHECK(text_of(queue) == "payload-more");
    append_to(queue, std::string(500, 'z'));
    CHECK(text_of(queue).starts_with("payload-morezzz"));
    queue.consume(queue.bytes().size());
    CHECK(queue.empty());
}

TEST_CASE("when the pool is low, what is received is copied out at once", "[runtime]")
{
    plain_pool pool{8};
    std::vector<chunk> held;
    for (int i = 0; i < 100; ++i) {
        receive_queue queue;
        receive_into(queue, pool, "message " + std::to_string(i));
        held.push_back(queue.take());
    }
    CHECK(pool.available() >= 1);
    for (int i = 0; i < 100; ++i)
        CHECK(held[static_cast<std::size_t>(i)].text() == "message " + std::to_string(i));
    held.clear();
    CHECK(pool.available() == pool.count());
}

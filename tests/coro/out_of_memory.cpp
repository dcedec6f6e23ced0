#include <whence/coro/race.hpp>

#include "support/manual_loop.hpp"
#include "support/scarce_memory.hpp"

#include <whence/base/sanitizer.hpp>
#include <whence/coro/deadline.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <new>

using namespace whence;
using support::leave_blocks;
using support::run_to_end;

namespace {

/// While it lives, there is memory for `count` more frames of each size.
class few_frames {
public:
    explicit few_frames(std::size_t count)
    {
        leave_blocks(address_sanitizer ? count : 0);
        if (address_sanitizer)
            return;  // there, every frame is a block
        for (std::size_t size = size_max; size != 0; size -= size_step) {
            take_all(size, count);
            for (std::size_t i = 0; i < count; ++i)
                give_back_one(size);
        }
    }
    ~few_frames()
    {
        leave_blocks(support::unlimited);
        while (taken_)
            give_back_one(taken_->size);
    }
    few_frames(const few_frames&) = delete;
    few_frames& operator=(const few_frames&) = delete;

private:
    // What coro/frame_pool.cpp has: its classes, and the largest.
    static constexpr std::size_t size_step = 16;
    static constexpr std::size_t size_max = 2048;

    struct frame {
        frame* next;
        std::size_t size;
    };

    /// Takes all frames of a size that there are without a new block, and `at_least` so many.
    void take_all(std::size_t size, std::size_t at_least)
    {
        for (std::size_t taken = 0;; ++taken) {
            leave_blocks(taken < at_least ? 1 : 0);
            try {
                taken_ = new (allocate_frame(size)) frame{taken_, size};
            } catch (const std::bad_alloc&) {
                break;
            }
        }
        leave_blocks(0);
    }
    void give_back_one(std::size_t size)
    {
        frame* const last = taken_;
        if (!last || last->size != size)
            std::abort();
        taken_ = last->next;
        free_frame(last, size);
    }

    frame* taken_ = nullptr;
};

task<int> note_start(int& started)
{
    ++started;
    co_await sleep_for(1ms);
    co_return started;
}

/// Runs three tasks together with memory for `strands` of their strands. True: all have run.
template <class Together>
bool run_with_memory_for(std::size_t strands, Together together)
{
    const frame_usage before = frames_in_use();
    int started = 0;
    bool failed = false;
    run_to_end([&]() -> task<> {
        auto work = together(started);
        const few_frames scarce{strands};
        try {
            co_await work;
        } catch (const std::bad_alloc&) {
            failed = true;
        }
    });
    CHECK(started == (failed ? 0 : 3));
    CHECK(frames_in_use().frames == before.frames);
    return !failed;
}

}  // namespace

TEST_CASE("when_all without memory for all starts none", "[coro]")
{
    const auto three = [](int& started) {
        return when_all(note_start(started), note_start(started), note_start(started));
    };
    for (std::size_t strands = 0; strands < 3; ++strands)
        CHECK_FALSE(run_with_memory_for(strands, three));
    CHECK(run_with_memory_for(3, three));
}

TEST_CASE("race without memory for all starts none", "[coro]")
{
    const auto three = [](int& started) {
        return race(note_start(started), note_start(started), note_start(started));
    };
    for (std::size_t strands = 0; strands < 3; ++strands)
        CHECK_FALSE(run_with_memory_for(strands, three));
    CHECK(run_with_memory_for(3, three));
}

#include <whence/coro/frame_pool.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <set>
#include <thread>
#include <vector>

using namespace whence;

TEST_CASE("frames of every size are writable, apart and counted", "[coro]")
{
    const frame_usage before = frames_in_use();
    struct held {
        void* frame;
        std::size_t size;
    };
    std::vector<held> all;
    for (std::size_t size = 1; size < 5000; size += 7) {
        void* const frame = allocate_frame(size);
        std::memset(frame, static_cast<int>(size & 0xff), size);
        all.push_back({frame, size});
    }
    CHECK(frames_in_use().frames == before.frames + static_cast<std::int64_t>(all.size()));
    for (const held& each : all) {
        const auto* const bytes = static_cast<const unsigned char*>(each.frame);
        const auto filled = static_cast<unsigned char>(each.size & 0xff);
        const bool intact = bytes[0] == filled && bytes[each.size - 1] == filled;
        REQUIRE(intact);
        free_frame(each.frame, each.size);
    }
    CHECK(frames_in_use().frames == before.frames);
    CHECK(frames_in_use().bytes == before.bytes);
}

TEST_CASE("a frame may be freed by another thread, after the first has ended", "[coro]")
{
    std::vector<void*> handed_over;
    std::thread maker{[&] {
        for (int i = 0; i < 1000; ++i)
            handed_over.push_back(allocate_frame(200));
    }};
    maker.join();
    for (void* const frame : handed_over) {
        std::memset(frame, 1, 200);
        free_frame(frame, 200);
    }
    std::thread user{[] {
        std::set<void*> mine;
        for (int i = 0; i < 1000; ++i)
            mine.insert(allocate_frame(200));
        CHECK(mine.size() == 1000);
        for (void* const frame : mine)
            free_frame(frame, 200);
    }};
    user.join();
}

#include <whence/coro/frame_pool.hpp>

#include <whence/base/sanitizer.hpp>

#include <array>
#include <mutex>
#include <new>
#include <utility>

namespace whence::inline v0 {

namespace {

constexpr std::size_t class_bytes = 16;
constexpr std::size_t pooled_max = 2048;
constexpr std::size_t classes = pooled_max / class_bytes;
constexpr std::size_t slab_bytes = 64 * 1024;

struct free_frame_link {
    free_frame_link* next;
};

// Slabs are never unmapped before the process ends: a frame may be freed by another thread than the
// one that carved it, after that one has gone. What a finished thread leaves, the next one takes.
struct thread_lists {
    std::array<free_frame_link*, classes> heads{};
    std::byte* slab_at = nullptr;
    std::byte* slab_end = nullptr;
};

constinit thread_local thread_lists lists;
constinit thread_local frame_usage usage;

struct left_behind {
    std::mutex lock;
    std::array<free_frame_link*, classes> heads{};

    void take_over(thread_lists& from)
    {
        std::lock_guard guard{lock};
        for (std::size_t i = 0; i < classes; ++i) {
            while (free_frame_link* head = from.heads[i]) {
                from.heads[i] = head->next;
                head->next = heads[i];
                heads[i] = head;
            }
        }
    }

    free_frame_link* give(std::size_t index)
    {
        std::lock_guard guard{lock};
        return std::exchange(heads[index], nullptr);
    }
};

left_behind& orphans()
{
    static left_behind* const all = new left_behind;  // outlives every thread
    return *all;
}

struct at_thread_exit {
    ~at_thread_exit() { orphans().take_over(lists); }
};

[[gnu::noinline]] void* allocate_slow(std::size_t index)
{
    thread_local at_thread_exit hand_over;
    static_cast<void>(hand_over);
    if (free_frame_link* orphan = orphans().give(index)) {
        lists.heads[index] = orphan->next;
        return orphan;
    }
    const std::size_t size = (index + 1) * class_bytes;
    if (static_cast<std::size_t>(lists.slab_end - lists.slab_at) < size) {
        lists.slab_at = static_cast<std::byte*>(::operator new(slab_bytes));
        lists.slab_end = lists.slab_at + slab_bytes;
    }
    return std::exchange(lists.slab_at, lists.slab_at + size);
}

}  // namespace

void* allocate_frame(std::size_t size)
{
    const std::size_t index = (size - 1) / class_bytes;
    void* frame = nullptr;
    if (address_sanitizer || index >= classes) {
        frame = ::operator new(size);
    } else if (free_frame_link* head = lists.heads[index]) [[likely]] {
        lists.heads[index] = head->next;
        frame = head;
    } else {
        frame = allocate_slow(index);
    }
    ++usage.frames;
    usage.bytes += static_cast<std::int64_t>((index + 1) * class_bytes);
    return frame;
}

void free_frame(void* frame, std::size_t size) noexcept
{
    const std::size_t index = (size - 1) / class_bytes;
    --usage.frames;
    usage.bytes -= static_cast<std::int64_t>((index + 1) * class_bytes);
    if (address_sanitizer || index >= classes) {
        ::operator delete(frame);
        return;
    }
    auto* link = static_cast<free_frame_link*>(frame);
    link->next = lists.heads[index];
    lists.heads[index] = link;
}

frame_usage frames_in_use() noexcept
{
    return usage;
}

}  // namespace whence::inline v0

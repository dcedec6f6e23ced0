#include <whence/runtime/buffers.hpp>

#include <whence/base/check.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace whence {

constinit thread_local buffer_pool* current_pool = nullptr;

namespace {

// A quarter of the pool stays for connections that have just sent their first bytes: what is kept
// across a wait beyond that is copied out, so slow readers cannot hold it.
constexpr u32 low_water_divisor = 4;

constexpr std::size_t heap_quantum = 64;

/// Stands in front of the bytes of a heap block.
struct block_head {
    std::size_t capacity;
};

block_head& head_of(std::byte* data, u32 offset) noexcept
{
    return *std::launder(reinterpret_cast<block_head*>(data - offset - sizeof(block_head)));
}

std::byte* allocate_block(std::size_t capacity)
{
    auto* memory = static_cast<std::byte*>(::operator new(sizeof(block_head) + capacity));
    new (memory) block_head{capacity};
    return memory + sizeof(block_head);
}

bool pooled(const std::byte* data) noexcept
{
    return current_pool && current_pool->owns(data);
}

}  // namespace

buffer_pool::buffer_pool(std::byte* memory, u32 count, u32 buffer_size) noexcept
    : memory_(memory), bytes_(std::size_t{count} * buffer_size),
      size_shift_(static_cast<u32>(std::countr_zero(buffer_size))), count_(count),
      available_(count), low_water_(count / low_water_divisor)
{
    expects(std::has_single_bit(count) && std::has_single_bit(buffer_size),
            "the pool's count and buffer size are powers of two");
}

void chunk::give_back(std::byte* data, u32 offset) noexcept
{
    if (pooled(data))
        current_pool->put_back(data);
    else
        ::operator delete(&head_of(data, offset));
}

void receive_queue::consume(std::size_t n) noexcept
{
    expects(n <= bytes_.size_, "consume() takes no more than there is");
    bytes_.data_ += n;
    bytes_.offset_ += static_cast<u32>(n);
    bytes_.size_ -= static_cast<u32>(n);
    if (bytes_.size_ == 0) {
        // The buffer must not be found by a data pointer one past its end.
        bytes_.data_ -= n;
        bytes_.offset_ -= static_cast<u32>(n);
        bytes_ = {};
    }
}

void receive_queue::put(std::byte* data, u32 size)
{
    expects(empty(), "a receive fills an empty queue");
    bytes_.data_ = data;
    bytes_.size_ = size;
    bytes_.offset_ = 0;
    if (current_pool->low())
        move_to_heap(size);
}

std::size_t receive_queue::heap_room() const noexcept
{
    if (bytes_.data_ == nullptr || pooled(bytes_.data_))
        return 0;
    return head_of(bytes_.data_, bytes_.offset_).capacity - bytes_.offset_ - bytes_.size_;
}

void receive_queue::move_to_heap(std::size_t capacity)
{
    chunk moved;
    moved.data_ = allocate_block(capacity);
    moved.size_ = bytes_.size_;
    std::memcpy(moved.data_, bytes_.data_, bytes_.size_);
    bytes_ = std::move(moved);
}

mutable_bytes receive_queue::prepare(std::size_t room)
{
    if (heap_room() < room) {
        // Doubling keeps the copying linear for a peer that sends byte by byte.
        const std::size_t wanted = std::max(bytes_.size_ + room, 2 * bytes_.size());
        move_to_heap((wanted + heap_quantum - 1) / heap_quantum * heap_quantum);
    }
    return {bytes_.data_ + bytes_.size_, heap_room()};
}

}  // namespace whence

#include <whence/runtime/buffers.hpp>

#include <whence/base/check.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace whence::inline v0 {

constinit thread_local buffer_pool* internal::current_pool = nullptr;

namespace {

// A quarter of the pool stays for connections that have just sent their first bytes: what is kept
// across a wait beyond that is copied out, so slow readers cannot hold it.
constexpr u32 low_water_divisor = 4;

constexpr u32 buffers_max = 32'768;  // io_uring's limit, and everybody's then

constexpr std::size_t heap_quantum = 64;

/// Stands in front of the bytes of a heap block.
struct block_head {
    std::size_t capacity;
};

block_head& head_of(std::byte* data, u32 offset) noexcept
{
    return *std::launder(reinterpret_cast<block_head*>(data - offset));
}

std::byte* allocate_block(std::size_t capacity)
{
    auto* memory = static_cast<std::byte*>(::operator new(sizeof(block_head) + capacity));
    new (memory) block_head{capacity};
    return memory + sizeof(block_head);
}

}  // namespace

buffer_pool::buffer_pool(std::byte* memory, u32 count, u32 buffer_size) noexcept
    : memory_(memory), bytes_(std::size_t{count} * buffer_size),
      size_shift_(static_cast<u32>(std::countr_zero(buffer_size))), count_(count),
      available_(count), low_water_(count / low_water_divisor)
{
    expects(std::has_single_bit(count) && std::has_single_bit(buffer_size),
            "the pool's count and buffer size are powers of two");
    expects(count <= buffers_max, "a pool has at most 32,768 buffers");
}

void chunk::give_back(std::byte* data, u32 offset) noexcept
{
    if (offset != 0) {
        ::operator delete(&head_of(data, offset));
        return;
    }
    expects(internal::current_pool && internal::current_pool->owns(data),
            "a chunk goes before its runtime has ended, in the thread that received it");
    internal::current_pool->put_back(data);
}

void receive_queue::consume(std::size_t n) noexcept
{
    expects(n <= bytes_.size_, "consume() takes no more than there is");
    if (n == bytes_.size_) {
        bytes_ = {};  // its data pointer must not lie one past its buffer's end
        return;
    }
    bytes_.data_ += n;
    bytes_.size_ -= static_cast<u32>(n);
    if (bytes_.offset_ != 0)
        bytes_.offset_ += static_cast<u32>(n);
}

void receive_queue::copy_out() noexcept
{
    internal::current_pool->copied_out().add();
    try {
        move_to_heap(bytes_.size_);
    } catch (const std::bad_alloc&) {
        // The buffer stays where it is: one less for others, but nothing is lost.
    }
}

std::size_t receive_queue::heap_room() const noexcept
{
    if (bytes_.offset_ == 0)
        return 0;
    const std::size_t consumed = bytes_.offset_ - sizeof(block_head);
    return head_of(bytes_.data_, bytes_.offset_).capacity - consumed - bytes_.size_;
}

void receive_queue::move_to_heap(std::size_t capacity)
{
    chunk moved;
    moved.data_ = allocate_block(capacity);
    moved.size_ = bytes_.size_;
    moved.offset_ = sizeof(block_head);
    if (bytes_.size_ != 0)
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

}  // namespace whence::inline v0

#pragma once

#include <whence/base/types.hpp>
#include <whence/runtime/metrics.hpp>

#include <string_view>
#include <utility>

namespace whence::inline v0 {

/// Lends fixed-size buffers to receives: a connection that is idle holds none.
/// shape: `count` buffers of `buffer_size` bytes in one block; a driver hands them to the kernel
/// and learns which one a receive took. One runtime's, one thread's.
class buffer_pool {
public:
    buffer_pool(const buffer_pool&) = delete;
    buffer_pool& operator=(const buffer_pool&) = delete;
    virtual ~buffer_pool() = default;

    std::byte* at(u16 id) const noexcept { return memory_ + (std::size_t{id} << size_shift_); }
    bool owns(const std::byte* data) const noexcept
    {
        return static_cast<std::size_t>(data - memory_) < bytes_;
    }

    u32 buffer_size() const noexcept { return 1u << size_shift_; }
    u32 count() const noexcept { return count_; }
    u32 available() const noexcept { return available_; }
    /// Tells that so few are left that what is kept across a wait must be kept elsewhere.
    bool low() const noexcept { return available_ < low_water_; }

    /// Counts receives that were copied out at once, because the pool was low.
    counter& copied_out() noexcept { return copied_out_; }

    /// Takes back the buffer in which `data` lies.
    void put_back(const std::byte* data) noexcept
    {
        ++available_;
        give(static_cast<u16>(static_cast<std::size_t>(data - memory_) >> size_shift_));
    }

protected:
    /// limits: `count` and `buffer_size` powers of two.
    buffer_pool(std::byte* memory, u32 count, u32 buffer_size) noexcept;
    /// Makes a free buffer available to receives again.
    virtual void give(u16 id) noexcept = 0;
    void taken() noexcept { --available_; }

private:
    std::byte* memory_;
    std::size_t bytes_;
    u32 size_shift_;
    u32 count_;
    u32 available_;
    u32 low_water_;
    counter copied_out_;
};

namespace internal {

/// Is the running runtime's pool; null outside of one.
extern constinit thread_local buffer_pool* current_pool;

}  // namespace internal

/// Leases received bytes: move-only, gives its storage back when it goes.
/// shape: usually a part of one pool buffer; a right-sized copy on the heap when the pool is low or
/// the bytes were kept across a wait. Empty stands for a clean end of stream.
/// limits: of the thread that received it; for the work of the moment, not a place to keep data.
class chunk {
public:
    chunk() = default;
    chunk(chunk&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)),
          offset_(std::exchange(other.offset_, 0))
    {}
    chunk& operator=(chunk&& other) noexcept
    {
        chunk taken{std::move(other)};
        std::swap(data_, taken.data_);
        std::swap(size_, taken.size_);
        std::swap(offset_, taken.offset_);
        return *this;
    }
    ~chunk()
    {
        if (data_)
            give_back(data_, offset_);
    }

    explicit operator bool() const noexcept { return size_ != 0; }
    std::size_t size() const noexcept { return size_; }
    const_bytes bytes() const noexcept { return {data_, size_}; }
    std::string_view text() const noexcept { return {reinterpret_cast<const char*>(data_), size_}; }

private:
    friend class receive_queue;

    static void give_back(std::byte* data, u32 offset) noexcept;

    std::byte* data_ = nullptr;
    u32 size_ = 0;
    u32 offset_ = 0;  // of data_ from its heap block's head; 0: in a pool buffer
};

/// Keeps what was received and not yet consumed: one contiguous run of bytes.
/// shape: a pool buffer while the bytes are fresh; a heap block that grows with the data, never
/// with an announced length, once they have to wait for more.
class receive_queue {
public:
    bool empty() const noexcept { return bytes_.size_ == 0; }
    const_bytes bytes() const noexcept { return bytes_.bytes(); }

    /// Drops the first `n` bytes.
    void consume(std::size_t n) noexcept;
    /// Gives all bytes away.
    chunk take() noexcept { return std::exchange(bytes_, chunk{}); }

    /// Becomes the pool buffer that a receive filled; copied out at once when the pool is low
    /// and there is memory.
    /// limits: only when empty.
    void put(std::byte* data, u32 size) noexcept
    {
        expects(empty(), "a receive fills an empty queue");
        if (bytes_.data_) [[unlikely]]
            bytes_ = {};  // a block was prepared that nothing came into
        bytes_.data_ = data;
        bytes_.size_ = size;
        bytes_.offset_ = 0;
        if (internal::current_pool->low()) [[unlikely]]
            copy_out();
    }

    /// Makes room behind the bytes, in a heap block, and returns it (at least `room` bytes).
    /// errors: std::bad_alloc.
    mutable_bytes prepare(std::size_t room);
    /// Counts `n` bytes written into the prepared room as received.
    void commit(std::size_t n) noexcept { bytes_.size_ += static_cast<u32>(n); }

private:
    void copy_out() noexcept;
    void move_to_heap(std::size_t capacity);
    std::size_t heap_room() const noexcept;

    chunk bytes_;
};

}  // namespace whence::inline v0

#pragma once

#include <whence/runtime/buffers.hpp>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// Is a pool without a kernel: free buffers on a stack.
class plain_pool final : public whence::buffer_pool {
public:
    static constexpr whence::u32 size = 64;

    explicit plain_pool(whence::u32 count)
        : plain_pool(count, std::make_unique<std::byte[]>(count * size))
    {}
    ~plain_pool() override { whence::internal::current_pool = nullptr; }

    /// Does what a receive does: fills a buffer with text.
    std::byte* receive(std::string_view text)
    {
        taken();
        std::byte* const data = at(free_.back());
        free_.pop_back();
        std::memcpy(data, text.data(), text.size());
        return data;
    }

private:
    plain_pool(whence::u32 count, std::unique_ptr<std::byte[]> memory)
        : whence::buffer_pool(memory.get(), count, size), memory_(std::move(memory))
    {
        for (whence::u32 id = 0; id < count; ++id)
            free_.push_back(static_cast<whence::u16>(id));
        whence::internal::current_pool = this;
    }
    void give(whence::u16 id) noexcept override { free_.push_back(id); }

    std::unique_ptr<std::byte[]> memory_;
    std::vector<whence::u16> free_;
};

inline void receive_into(whence::receive_queue& queue, plain_pool& pool, std::string_view text)
{
    queue.put(pool.receive(text), static_cast<whence::u32>(text.size()));
}

inline std::string text_of(const whence::receive_queue& queue)
{
    return {reinterpret_cast<const char*>(queue.bytes().data()), queue.bytes().size()};
}

}  // namespace support

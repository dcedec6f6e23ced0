#include <whence/sim/stack.hpp>

#include <whence/base/sanitizer.hpp>
#include <whence/sim/network.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace whence::inline v0::sim::internal {

namespace {

std::vector<ip_address> addresses_of(const host_options& options)
{
    std::vector<ip_address> all;
    for (const std::string& text : options.addresses) {
        const auto parsed = ip_address::parse(text);
        if (!parsed)
            throw std::invalid_argument(parsed.error());
        all.push_back(parsed->canonical());
    }
    return all;
}

}  // namespace

sim_buffers::sim_buffers(const driver_options& options)
    : sim_buffers(
          std::make_unique<std::byte[]>(std::size_t{options.buffers_count} * options.buffer_size),
          options)
{}

sim_buffers::sim_buffers(std::unique_ptr<std::byte[]> memory, const driver_options& options)
    : buffer_pool(memory.get(), options.buffers_count, options.buffer_size),
      memory_(std::move(memory))
{
    for (u32 id = options.buffers_count; id-- > 0;)
        give(static_cast<u16>(id));
}

sim_buffers::~sim_buffers()
{
    unpoison(memory_.get(), std::size_t{count()} * buffer_size());
}

void sim_buffers::give(u16 id) noexcept
{
    poison(at(id), buffer_size());
    free_.push_back(id);
}

std::byte* sim_buffers::fill(const_bytes bytes) noexcept
{
    std::byte* const into = at(free_.back());
    free_.pop_back();
    taken();
    unpoison(into, bytes.size());
    std::memcpy(into, bytes.data(), bytes.size());
    return into;
}

stack::stack(network& on, const host_options& with)
    : net(on), options(with), addresses(addresses_of(with)), buffers(with.io)
{}

socket* stack::find(int fd) const noexcept
{
    const auto at = static_cast<std::size_t>(fd - descriptors_begin);
    return fd >= descriptors_begin && at < descriptors_.size() ? net.find(descriptors_[at])
                                                               : nullptr;
}

int stack::open_descriptor(socket_id of)
{
    if (open_ >= options.descriptors_max)
        return -EMFILE;
    auto free = std::ranges::find(descriptors_, socket_id{0});
    if (free == descriptors_.end())
        free = descriptors_.insert(free, 0);
    *free = of;
    ++open_;
    return descriptors_begin + static_cast<int>(free - descriptors_.begin());
}

void stack::close_descriptor(int fd) noexcept
{
    descriptors_[static_cast<std::size_t>(fd - descriptors_begin)] = 0;
    --open_;
}

bool stack::has(const ip_address& address) const noexcept
{
    return address.is_loopback() || address.is_unspecified() ||
           std::ranges::find(addresses, address) != addresses.end();
}

void stack::finish(operation& op, int result, bool more)
{
    if (!more)
        op.driver_flags |= flag_over;
    completed.push_back({&op, result, more});
}

}  // namespace whence::inline v0::sim::internal

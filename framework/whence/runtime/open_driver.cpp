#include <whence/runtime/open_driver.hpp>

#include <whence/runtime/json_line.hpp>

#include <bit>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <stdexcept>

namespace whence::inline v0 {

namespace {

constexpr u32 buffers_count_max = 32'768;  // of a ring of buffers: io_uring_setup_buf_ring(3)
constexpr u32 buffer_size_max = 1u << 30;

/// Tells whether the machine has no io_uring to give, whoever asks and whenever.
bool is_for_good(int error) noexcept
{
    return error == ENOSYS || error == EPERM || error == EACCES || error == EINVAL;
}

/// Finds a caller's mistake before the kernel is blamed for it.
void check(const driver_options& options)
{
    const auto is_wrong = [](u32 number, u32 most) {
        return !std::has_single_bit(number) || number > most;
    };
    if (options.entries == 0)
        throw std::invalid_argument("driver_options::entries: at least 1");
    if (is_wrong(options.buffers_count, buffers_count_max))
        throw std::invalid_argument("driver_options::buffers_count: a power of two, at most " +
                                    std::to_string(buffers_count_max));
    if (is_wrong(options.buffer_size, buffer_size_max))
        throw std::invalid_argument("driver_options::buffer_size: a power of two, at most " +
                                    std::to_string(buffer_size_max));
}

std::unique_ptr<driver> open_automatically(const driver_options& options)
{
    static std::mutex lock;
    static bool falls_back = false;
    const std::lock_guard guard{lock};
    if (falls_back)
        return open_asio_driver(options);
    try {
        return open_uring_driver(options);
    } catch (const driver_unavailable& none) {
        if (!is_for_good(none.error()))
            throw;
        auto other = open_asio_driver(options);
        const std::string line =
            json_line("driver").add("driver", other->name()).add("reason", none.what()).text();
        // No runtime has begun: written directly.
        std::fprintf(stderr, "%s\n", line.c_str());
        falls_back = true;
        return other;
    }
}

}  // namespace

std::unique_ptr<driver> open_driver(driver_choice choice, const driver_options& options)
{
    check(options);
    switch (choice) {
    case driver_choice::io_uring:
        return open_uring_driver(options);
    case driver_choice::asio:
        return open_asio_driver(options);
    case driver_choice::automatic:
        break;
    }
    return open_automatically(options);
}

std::optional<driver_choice> parse_driver_choice(std::string_view text) noexcept
{
    if (text == "auto")
        return driver_choice::automatic;
    if (text == "io_uring")
        return driver_choice::io_uring;
    if (text == "asio")
        return driver_choice::asio;
    return std::nullopt;
}

}  // namespace whence::inline v0

#include <whence/runtime/open_driver.hpp>

#include <whence/runtime/json_line.hpp>

#include <cerrno>
#include <cstdio>
#include <mutex>

namespace whence::inline v0 {

namespace {

/// Tells whether the machine has no io_uring to give, whoever asks and whenever.
bool is_for_good(int error) noexcept
{
    return error == ENOSYS || error == EPERM || error == EACCES || error == EINVAL;
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

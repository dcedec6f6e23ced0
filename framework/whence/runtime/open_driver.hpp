#pragma once

#include <whence/runtime/driver.hpp>

#include <optional>
#include <string_view>

namespace whence::inline v0 {

/// Names the driver that a program wants.
enum class driver_choice : u8 {
    automatic,  // io_uring; Asio where io_uring is forbidden or missing
    io_uring,
    asio,
};

/// Opens a driver for the calling thread. `automatic` takes Asio only when opening an io_uring ends
/// in ENOSYS, EPERM, EACCES or EINVAL: where the machine has none to give. The process then stays
/// with Asio, and says so once on stderr: {"event":"driver","driver":"asio","reason":"..."}.
/// errors: driver_unavailable (`io_uring` where there is none; a limit is reached),
/// std::invalid_argument naming the option that makes no sense, std::system_error.
std::unique_ptr<driver> open_driver(driver_choice choice = driver_choice::automatic,
                                    const driver_options& options = {});

/// Reads a choice as command lines have it: auto, io_uring, asio.
std::optional<driver_choice> parse_driver_choice(std::string_view text) noexcept;

}  // namespace whence::inline v0

#pragma once

#include <whence/runtime/open_driver.hpp>

#include <string>
#include <vector>

namespace support {

/// The driver on which this run of the tests is: WHENCE_TEST_DRIVER=io_uring|asio, else automatic.
/// errors: std::runtime_error for `sim`, which runs one runtime and no real program: such tests are
/// tagged [kernel].
whence::driver_choice test_driver();

/// The same, or with WHENCE_TEST_DRIVER=sim a simulated one.
std::unique_ptr<whence::driver> open_test_driver(const whence::driver_options& options = {});

/// The command that starts an example, on the same driver unless it names one.
std::vector<std::string> on_test_driver(std::vector<std::string> command);

}  // namespace support

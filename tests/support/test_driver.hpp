#pragma once

#include <whence/runtime/open_driver.hpp>

#include <string>
#include <vector>

namespace support {

/// The driver on which this run of the tests is: WHENCE_TEST_DRIVER=io_uring|asio, else automatic.
whence::driver_choice test_driver();

std::unique_ptr<whence::driver> open_test_driver(const whence::driver_options& options = {});

/// The options that start an example on the same driver; none when it shall choose by itself.
std::vector<std::string> test_driver_arguments();

}  // namespace support

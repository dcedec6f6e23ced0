#pragma once

#include <whence/runtime/driver.hpp>

namespace whence::inline v0 {

/// Explains why io_uring could not be had, naming what forbids it and what to do.
/// units: `error` is a positive errno value; `step` completes "cannot ...".
/// source: io_uring_setup(2); Documentation/admin-guide/sysctl/kernel.rst, io_uring_disabled.
std::string explain_uring_error(int error, const std::string& step);

/// Is what is thrown then.
driver_unavailable uring_unavailable(int error, const std::string& step);

}  // namespace whence::inline v0

#include <whence/runtime/driver.hpp>

#include <cerrno>

namespace whence::inline v0 {

// Instead of uring_driver.cpp, with WHENCE_IO_URING=OFF.
std::unique_ptr<driver> open_uring_driver(const driver_options&)
{
    throw driver_unavailable{"cannot set up an io_uring: built without io_uring "
                             "(WHENCE_IO_URING=OFF)",
                             ENOSYS};
}

}  // namespace whence::inline v0

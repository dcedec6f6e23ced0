#include <whence/runtime/file_io.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>

namespace whence::inline v0 {

namespace {

constexpr u64 where_it_stands = ~u64{0};

template <class Call>
int result_of(Call call) noexcept
{
    ssize_t result = 0;
    do
        result = call();
    while (result < 0 && errno == EINTR);
    return static_cast<int>(result < 0 ? -errno : result);
}

/// Asks the kernel not to wait; kernels know that for more and more kinds of descriptors.
int without_waiting(const operation& op, off_t offset) noexcept
{
    const iovec bytes{op.data, op.size};
    return result_of([&] {
        return op.what == verb::read ? ::preadv2(op.fd, &bytes, 1, offset, RWF_NOWAIT)
                                     : ::pwritev2(op.fd, &bytes, 1, offset, RWF_NOWAIT);
    });
}

int at_once(const operation& op, u32 size) noexcept
{
    const auto offset = static_cast<off_t>(op.offset);
    return result_of([&] {
        if (op.offset == where_it_stands)
            return op.what == verb::read ? ::read(op.fd, op.data, size)
                                         : ::write(op.fd, op.data, size);
        return op.what == verb::read ? ::pread(op.fd, op.data, size, offset)
                                     : ::pwrite(op.fd, op.data, size, offset);
    });
}

bool is_ready(const operation& op) noexcept
{
    pollfd on{op.fd, static_cast<short>(op.what == verb::read ? POLLIN : POLLOUT), 0};
    return ::poll(&on, 1, 0) != 0;
}

/// Writes to a pipe or terminal through an opening of our own, which does not block.
int write_through_another(const operation& op) noexcept
{
    std::array<char, 32> name{};
    std::snprintf(name.data(), name.size(), "/proc/self/fd/%d", op.fd);
    const int another = ::open(name.data(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (another < 0)
        return -EOPNOTSUPP;
    const int written = result_of([&] { return ::write(another, op.data, op.size); });
    ::close(another);
    return written;
}

int on_socket(const operation& op) noexcept
{
    return result_of([&] {
        return op.what == verb::read ? ::recv(op.fd, op.data, op.size, MSG_DONTWAIT)
                                     : ::send(op.fd, op.data, op.size, MSG_DONTWAIT | MSG_NOSIGNAL);
    });
}

/// What cannot be positioned: pipes, terminals, event and signal descriptors.
int on_stream(const operation& op) noexcept
{
    if (op.what == verb::write) {
        const int written = write_through_another(op);
        if (written != -EOPNOTSUPP)
            return written;
    }
    if (!is_ready(op))
        return -EAGAIN;
    // A pipe that is ready takes so much without waiting: pipe(7).
    const u32 size = op.what == verb::write ? std::min<u32>(op.size, PIPE_BUF) : op.size;
    operation here{op};
    here.offset = where_it_stands;
    return at_once(here, size);
}

}  // namespace

int read_or_write(const operation& op) noexcept
{
    int result = without_waiting(op, static_cast<off_t>(op.offset));
    if (result == -ESPIPE)
        result = without_waiting(op, -1);
    switch (result) {
    case -EAGAIN:
    case -EOPNOTSUPP:
    case -EINVAL:
    case -ENOSYS:
    case -EPERM:
        break;  // not without waiting, or not asked in this way
    default:
        return result;
    }
    struct stat kind{};
    if (::fstat(op.fd, &kind) != 0)
        return -errno;
    if (S_ISREG(kind.st_mode) || S_ISBLK(kind.st_mode))
        return at_once(op, op.size);
    if (result == -EAGAIN)
        return result;
    return S_ISSOCK(kind.st_mode) ? on_socket(op) : on_stream(op);
}

}  // namespace whence::inline v0

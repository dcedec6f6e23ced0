#include <whence/net/socket_path.hpp>

#include <whence/address/socket_address.hpp>
#include <whence/net/held_address.hpp>
#include <whence/net/socket_setup.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace whence::inline v0::internal {

namespace {

// A lock that vanishes between open and flock has been given back; nobody gives back so many.
constexpr int lock_tries = 100;

std::string path_of(const endpoint& at)
{
    return std::string{at.unix_name()};
}

bool same_file(const struct stat& a, const struct stat& b) noexcept
{
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/// Removes a socket on which nobody listens. False: somebody does.
bool remove_stale(const endpoint& at)
{
    const std::string path = path_of(at);
    struct stat found{};
    if (lstat(path.c_str(), &found) != 0) {
        if (errno == ENOENT)
            return true;
        fail_at("bind", at, errno);
    }
    if (!S_ISSOCK(found.st_mode))
        fail_at("bind", at, EEXIST, "what is there is no socket");
    const socket_handle probe = open_socket(at);
    fcntl(probe.get(), F_SETFL, O_NONBLOCK);
    const socket_address address = to_socket_address(at);
    const int error = ::connect(probe.get(), address.get(), address.size) == 0 ? 0 : errno;
    switch (error) {
    case 0:
    case EAGAIN:      // its backlog is full
    case EPROTOTYPE:  // a datagram socket
        return false;
    case ECONNREFUSED:
        if (::unlink(path.c_str()) != 0 && errno != ENOENT)
            fail_at("remove the stale socket", at, errno);
        return true;
    case ENOENT:
        return true;
    default:
        fail_at("find out who listens at", at, error);
    }
}

}  // namespace

path_claim::path_claim(const endpoint& at) : name_(path_of(at) + ".lock")
{
    lock(at);
    try {
        if (!try_while_held([&] { return remove_stale(at); }))
            fail_at("bind", at, EADDRINUSE, "somebody listens there");
    } catch (...) {
        ::unlink(name_.c_str());
        throw;
    }
}

void path_claim::lock(const endpoint& at)
{
    for (int i = 0; i < lock_tries; ++i) {
        socket_handle file{
            ::open(name_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600),
            kernel_sockets()};
        if (file.get() < 0)
            fail_at("open the lock of", at, errno);
        if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
            const int error = errno == EWOULDBLOCK ? EADDRINUSE : errno;
            fail_at("bind", at, error, "somebody else is about to");
        }
        // Whoever held it before has removed the name; then this is the lock of nothing.
        struct stat locked{};
        struct stat named{};
        if (fstat(file.get(), &locked) != 0)
            fail_at("open the lock of", at, errno);
        if (!S_ISREG(locked.st_mode) || locked.st_size != 0)
            fail_at("bind", at, EEXIST, "PATH.lock is somebody's file, not a lock");
        if (lstat(name_.c_str(), &named) == 0 && same_file(locked, named)) {
            file_ = std::move(file);
            return;
        }
    }
    fail_at("bind", at, EADDRINUSE, "its lock changes hands all the time");
}

path_claim::~path_claim()
{
    ::unlink(name_.c_str());
}

socket_path::socket_path(const endpoint& bound)
    : name_(std::filesystem::absolute(path_of(bound)).string())
{
    struct stat made{};
    if (lstat(name_.c_str(), &made) != 0)
        fail_at("bind", bound, errno);
    device_ = made.st_dev;
    inode_ = made.st_ino;
}

socket_path::socket_path(socket_path&& other) noexcept
{
    *this = std::move(other);
}

socket_path& socket_path::operator=(socket_path&& other) noexcept
{
    std::swap(name_, other.name_);
    std::swap(device_, other.device_);
    std::swap(inode_, other.inode_);
    return *this;
}

void socket_path::restrict(const endpoint& bound, const listen_options& options) const
{
    if (fchmodat(AT_FDCWD, name_.c_str(), options.unix_mode, AT_SYMLINK_NOFOLLOW) != 0)
        fail_at("set the mode of", bound, errno);
    if (!options.unix_owner && !options.unix_group)
        return;
    constexpr u32 as_it_is = ~u32{0};
    if (fchownat(AT_FDCWD, name_.c_str(), options.unix_owner.value_or(as_it_is),
                 options.unix_group.value_or(as_it_is), AT_SYMLINK_NOFOLLOW) != 0)
        fail_at("set the owner of", bound, errno);
}

void socket_path::remove() noexcept
{
    if (name_.empty())
        return;
    // The bound socket keeps its inode, so that no other file can have its number yet.
    struct stat found{};
    if (lstat(name_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == inode_)
        ::unlink(name_.c_str());
    name_.clear();
}

}  // namespace whence::inline v0::internal

#pragma once

#include <whence/net/socket.hpp>

#include <sys/types.h>

#include <string>

namespace whence::inline v0::internal {

/// Keeps other starters away from a UNIX socket's path while this one looks at it, removes what is
/// stale and binds. Not a public header: it knows the system's inodes.
///
/// "Nobody listens there, so remove it" is two steps: a second starter that has seen the same stale
/// socket would remove the one that the first has bound meanwhile, and both would serve, one of
/// them unreachable. Binding a temporary name and renaming it over the path has the same hole, for
/// rename() replaces a live socket as readily as a stale one. Hence a lock, on a file beside the
/// path (PATH.lock), held until the socket listens; a lock on the folder would meet those of others
/// (systemd-tmpfiles). Who ends takes no lock: it unlinks while it still listens, so that a starter
/// sees either somebody who listens or no path.
/// errors: std::system_error naming the path: somebody listens there or is about to, it is no
/// socket, or the folder cannot be written.
class path_claim {
public:
    /// Takes the lock and removes a stale socket.
    explicit path_claim(const endpoint& at);
    path_claim(const path_claim&) = delete;
    path_claim& operator=(const path_claim&) = delete;
    ~path_claim();

private:
    void lock(const endpoint& at);

    std::string name_;  // of the lock
    socket_handle file_;
};

/// Owns the path that a bound socket has made, and removes it.
class socket_path {
public:
    socket_path() = default;
    explicit socket_path(const endpoint& bound);
    socket_path(socket_path&& other) noexcept;
    socket_path& operator=(socket_path&& other) noexcept;
    ~socket_path() { remove(); }

    /// Sets mode and owner.
    void restrict(const endpoint& bound, const listen_options& options) const;
    /// Removes it, if it still is the one that was bound.
    void remove() noexcept;

private:
    std::string name_;  // absolute: the program may change its folder
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

}  // namespace whence::inline v0::internal

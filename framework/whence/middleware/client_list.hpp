#pragma once

#include <whence/base/result.hpp>
#include <whence/net/connection.hpp>

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace whence::inline v0 {

/// Is a list of clients for allow() and deny(), which may change while they use it.
/// shape: an entry is a network or an address ("192.0.2.0/24", "2001:db8::7") or a UNIX peer's user
/// ("unix:uid=N"). A file holds one a line; blank lines and what follows a # are skipped.
/// Copies are the same list. All functions are for any thread: a change is prepared aside and
/// swapped in at once. It concerns new connections; a session that runs is not cut.
/// limits: a file has 64 MiB at most, a line 256 bytes. 32 bytes an entry; a search is a bisection.
class client_list {
public:
    /// errors: std::invalid_argument naming the entry that is not understood.
    client_list(std::initializer_list<std::string_view> entries = {});
    explicit client_list(std::span<const std::string> entries);
    /// Reads a file; `entries` are in the list, too, and stay there at every reload().
    /// errors: std::runtime_error naming the file, and the line that is not understood.
    static client_list load(std::string path, std::span<const std::string> entries = {});

    /// Changes the list to these entries alone.
    /// errors: as the constructor; the list is as it was.
    void replace(std::span<const std::string> entries);
    /// Reads the file again, if the list was loaded from one, and gives the list's size. Blocks
    /// for about 0.4 ms a thousand lines: a list of very many is reloaded by a thread of its own.
    /// Whoever edits the file renames a new one into place, so that it is never read half written.
    /// errors: a sentence that names the file, and the line that is not understood; the list is as
    /// it was.
    result<std::size_t, std::string> reload();

    /// Tells whether the list names the client of a connection; never for origin local or unknown,
    /// nor for a UNIX client that a proxy claims.
    bool names(const connection& conn) const;
    bool contains(const ip_address& address) const noexcept;
    bool contains_user(u32 uid) const noexcept;

    /// Counts the entries; networks within others do not count.
    std::size_t size() const noexcept;
    /// Names the file; empty when there is none.
    const std::string& path() const noexcept;

private:
    struct contents;
    struct shared;

    explicit client_list(std::shared_ptr<shared> self) noexcept : self_(std::move(self)) {}
    std::shared_ptr<const contents> now_listed() const noexcept;

    std::shared_ptr<shared> self_;
};

}  // namespace whence::inline v0

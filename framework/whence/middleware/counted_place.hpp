#pragma once

// Not a public header: what counts connections across threads.

#include <whence/net/connection.hpp>
#include <whence/net/place_counter.hpp>

namespace whence::inline v0::internal {

/// Keeps one place taken for as long as a connection lives.
class counted_place final : public connection_guest {
public:
    explicit counted_place(std::shared_ptr<place_counter> from) noexcept : from_(std::move(from)) {}
    ~counted_place() override
    {
        if (taken_)
            from_->give();
    }
    bool take() noexcept { return taken_ = from_->take(); }

private:
    std::shared_ptr<place_counter> from_;
    bool taken_ = false;
};

/// Takes a place for a connection. False: there is none left.
/// errors: std::bad_alloc, and nothing is taken.
inline bool take_place(connection& conn, std::shared_ptr<place_counter> from)
{
    auto place = std::make_unique<counted_place>(std::move(from));
    if (!place->take())
        return false;
    conn.keep(std::move(place));
    return true;
}

}  // namespace whence::inline v0::internal

#include <whence/middleware/limits.hpp>

#include <whence/middleware/counted_place.hpp>

#include <stdexcept>

namespace whence::inline v0 {

limits::limits(limits_options options)
    : places_(std::make_shared<internal::place_counter>(options.connections_max))
{
    if (options.connections_max == 0)
        throw std::invalid_argument("limits: connections_max is 0, so nobody would be served");
}

task<verdict> limits::operator()(connection& conn) const
{
    const bool placed = internal::take_place(conn, places_);
    if (!placed)
        co_return verdict::refuse("too_many_connections");
    co_return verdict::pass();
}

u32 limits::connections() const noexcept
{
    return places_->taken();
}

}  // namespace whence::inline v0

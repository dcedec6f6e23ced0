#include <whence/middleware/allow_deny.hpp>

namespace whence::inline v0 {

task<verdict> allow::operator()(connection& conn) const
{
    const bool local = conn.origin() == origin::local;
    if ((local && local_too_) || clients_.names(conn))
        co_return verdict::pass();
    // Told apart, since a health check that fails takes the whole server out of its balancer.
    if (local || conn.origin() == origin::unknown)
        co_return verdict::refuse("not_allowed", "origin " + std::string{to_string(conn.origin())});
    co_return verdict::refuse("not_allowed");
}

task<verdict> deny::operator()(connection& conn) const
{
    if (clients_.names(conn))
        co_return verdict::refuse("denied");
    co_return verdict::pass();
}

}  // namespace whence::inline v0

#include <whence/net/outcome.hpp>

#include <whence/net/application.hpp>

namespace whence::inline v0::internal {

bool peer_has_gone(const std::error_code& error) noexcept
{
    return error == std::errc::connection_reset || error == std::errc::broken_pipe ||
           error == std::errc::connection_aborted || error == std::errc::not_connected;
}

std::string_view outcome_of(const connection& conn, const std::exception_ptr& error) noexcept
{
    if (conn.ended_by() != end_cause::none)
        return to_string(conn.ended_by());
    if (!error)
        return "closed";
    try {
        std::rethrow_exception(error);
    } catch (const cancelled&) {
        return "cancelled";
    } catch (const refused& refusal) {
        return refusal.why().reason();
    } catch (const std::system_error& failure) {
        if (failure.code() == std::errc::timed_out)
            return "timed_out";
        return peer_has_gone(failure.code()) ? "reset" : "failed";
    } catch (...) {
        return "failed";
    }
}

}  // namespace whence::inline v0::internal

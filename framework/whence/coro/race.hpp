#pragma once

#include <whence/coro/when_all.hpp>

namespace whence::inline v0 {

namespace internal {

template <std::size_t I, class T, class Outcome>
spawned run_for(task<T> work, std::optional<Outcome>& winner, bool& lost, scope& rivals)
{
    auto named = valued<T>{std::move(work)};
    try {
        auto value = co_await named;
        if (!winner && !lost)
            winner.emplace(std::in_place_index<I>, std::move(value));
    } catch (const cancelled&) {
        throw;
    } catch (...) {
        lost = !winner;  // the first to end failed: what others still reach is dropped
        throw;
    }
    rivals.stop();
}

}  // namespace internal

/// Runs tasks side by side until the first has ended; the others are stopped and joined.
/// shape: a variant whose index() tells who won; std::monostate for a task<void>. A value that
/// another task reaches while it is being stopped is dropped.
/// errors: the exception of the task that ended first, if it ended with one. std::bad_alloc before
/// anything runs, when there is no memory for all.
template <class... T>
task<std::variant<internal::value_of<T>...>> race(task<T>... work)
{
    using outcome = std::variant<internal::value_of<T>...>;
    std::optional<outcome> winner;
    bool lost = false;
    scope rivals;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        internal::spawn_all(rivals, internal::run_for<I>(std::move(work), winner, lost, rivals)...);
    }(std::index_sequence_for<T...>{});
    auto join = as_result(rivals.join());
    std::exception_ptr failure = co_await join;
    if (winner)
        co_return std::move(*winner);
    if (failure)
        std::rethrow_exception(failure);
    throw cancelled{};
}

}  // namespace whence::inline v0

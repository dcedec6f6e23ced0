#pragma once

#include <whence/coro/scope.hpp>
#include <whence/coro/valued.hpp>

#include <tuple>

namespace whence::inline v0 {

namespace internal {

template <class T, class Slot>
spawned store(task<T> work, Slot& slot)
{
    auto named = valued<T>{std::move(work)};
    slot.emplace(co_await named);
}

/// Spawns all or, when there is no memory for one of them, none.
template <class... Spawned>
void spawn_all(scope& into, Spawned... bodies) noexcept
{
    (into.spawn(std::move(bodies)), ...);
}

}  // namespace internal

/// Runs tasks side by side, each in a strand of its own, and waits for all.
/// shape: a tuple of their values in order; std::monostate for a task<void>.
/// errors: the first exception; the others are stopped and joined before it is rethrown.
/// std::bad_alloc before anything runs, when there is no memory for all.
template <class... T>
task<std::tuple<internal::value_of<T>...>> when_all(task<T>... work)
{
    std::tuple<std::optional<internal::value_of<T>>...> slots;
    scope children;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        internal::spawn_all(children, internal::store(std::move(work), std::get<I>(slots))...);
    }(std::index_sequence_for<T...>{});
    co_await children.join();
    // A child that was cancelled left its slot empty, and so was this strand.
    const bool complete =
        std::apply([](auto&... slot) { return (slot.has_value() && ...); }, slots);
    if (!complete)
        throw cancelled{};
    co_return std::apply(
        [](auto&... slot) { return std::tuple<internal::value_of<T>...>{std::move(*slot)...}; },
        slots);
}

}  // namespace whence::inline v0

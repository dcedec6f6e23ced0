#pragma once

#include <whence/coro/scope.hpp>

#include <tuple>
#include <variant>

namespace whence::inline v0 {

namespace internal {

/// What a task<void> contributes where a value is wanted.
template <class T>
using value_of = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
task<value_of<T>> with_value(task<T> work)
{
    if constexpr (std::is_void_v<T>) {
        co_await work;
        co_return std::monostate{};
    } else {
        co_return co_await work;
    }
}

template <class T, class Slot>
task<> store(task<T> work, Slot& slot)
{
    auto valued = with_value(std::move(work));
    slot.emplace(co_await valued);
}

}  // namespace internal

/// Runs tasks side by side, each in a strand of its own, and waits for all.
/// shape: a tuple of their values in order; std::monostate for a task<void>.
/// errors: the first exception; the others are stopped and joined before it is rethrown.
template <class... T>
task<std::tuple<internal::value_of<T>...>> when_all(task<T>... work)
{
    std::tuple<std::optional<internal::value_of<T>>...> slots;
    scope children;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (children.spawn(internal::store(std::move(work), std::get<I>(slots))), ...);
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

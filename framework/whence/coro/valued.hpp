#pragma once

#include <whence/coro/task.hpp>

#include <variant>

namespace whence::inline v0::internal {

/// What a task<void> contributes where a value is wanted.
template <class T>
using value_of = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// Awaits a task, and gives std::monostate where it gives nothing.
template <class T>
struct valued : task<T> {
    explicit valued(task<T> work) noexcept : task<T>(std::move(work)) {}
    value_of<T> await_resume()
    {
        if constexpr (std::is_void_v<T>) {
            task<T>::await_resume();
            return {};
        } else {
            return task<T>::await_resume();
        }
    }
};

}  // namespace whence::inline v0::internal

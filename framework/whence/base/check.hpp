#pragma once

#include <source_location>

namespace whence::inline v0 {

namespace internal {
[[noreturn]] void check_failed(const char* kind, const char* what,
                               std::source_location where) noexcept;
}

/// Demands what a caller must guarantee; a violation is a bug in the caller.
/// errors: prints file, line and `what` to stderr and aborts, in every build.
constexpr void expects(bool condition, const char* what = "",
                       std::source_location where = std::source_location::current()) noexcept
{
    if (!condition) [[unlikely]]
        internal::check_failed("precondition", what, where);
}

/// Demands what the code itself has just established; a violation is a bug right there.
/// errors: as `expects`.
constexpr void ensures(bool condition, const char* what = "",
                       std::source_location where = std::source_location::current()) noexcept
{
    if (!condition) [[unlikely]]
        internal::check_failed("invariant", what, where);
}

}  // namespace whence::inline v0

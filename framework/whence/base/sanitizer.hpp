#pragma once

// Not a public header: it brings the sanitizer's own along.

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif

namespace whence::inline v0 {

#ifdef ASAN_POISON_MEMORY_REGION
inline constexpr bool address_sanitizer = true;
/// Marks memory that somebody else owns for now: touching it is reported.
inline void poison(const void* at, std::size_t size)
{
    ASAN_POISON_MEMORY_REGION(at, size);
}
inline void unpoison(const void* at, std::size_t size)
{
    ASAN_UNPOISON_MEMORY_REGION(at, size);
}
#else
inline constexpr bool address_sanitizer = false;
inline void poison(const void*, std::size_t) {}
inline void unpoison(const void*, std::size_t) {}
#endif

}  // namespace whence::inline v0

#include <whence/base/check.hpp>

#include <cstdio>
#include <cstdlib>

namespace whence::inline v0::internal {

void check_failed(const char* kind, const char* what, std::source_location where) noexcept
{
    std::fprintf(stderr, "%s:%u: %s violated in %s%s%s\n", where.file_name(), where.line(), kind,
                 where.function_name(), *what ? ": " : "", what);
    std::abort();
}

}  // namespace whence::inline v0::internal

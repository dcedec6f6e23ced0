#pragma once

#include <whence/base/types.hpp>

namespace whence::inline v0::proxy_protocol {

/// Computes the CRC32C (Castagnoli, reflected) of `bytes`; pass the sum of what came before to
/// continue it. Uses the processor's instruction where there is one, decided at run time on x86.
/// source: section 2.2.3 of the specification, RFC 4960 appendix B.
u32 crc32c(const_bytes bytes, u32 sum_before = 0) noexcept;

/// Computes the same with tables alone, on any processor.
u32 crc32c_portable(const_bytes bytes, u32 sum_before = 0) noexcept;

}  // namespace whence::inline v0::proxy_protocol

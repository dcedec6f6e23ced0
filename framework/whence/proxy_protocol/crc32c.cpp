#include <whence/proxy_protocol/crc32c.hpp>

#include <whence/base/byte_order.hpp>

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace whence::inline v0::proxy_protocol {
namespace {

using table = std::array<u32, 256>;

// tables[k][b]: what byte b contributes when k more bytes follow it within a step of eight.
constexpr auto tables = [] {
    std::array<table, 8> made{};
    for (u32 byte = 0; byte < 256; ++byte) {
        u32 sum = byte;
        for (int bit = 0; bit < 8; ++bit)
            sum = sum >> 1 ^ (sum & 1 ? 0x82f63b78u : 0u);
        made[0][byte] = sum;
    }
    for (std::size_t k = 1; k < 8; ++k)
        for (std::size_t byte = 0; byte < 256; ++byte)
            made[k][byte] = made[k - 1][byte] >> 8 ^ made[0][made[k - 1][byte] & 0xff];
    return made;
}();

#if defined(__x86_64__)
#define WHENCE_CRC_TARGET [[gnu::target("sse4.2")]]
bool has_instruction() noexcept
{
    return __builtin_cpu_supports("sse4.2") != 0;
}
WHENCE_CRC_TARGET u64 step8(u64 sum, u64 data) noexcept
{
    return _mm_crc32_u64(sum, data);
}
WHENCE_CRC_TARGET u32 step4(u32 sum, u32 data) noexcept
{
    return _mm_crc32_u32(sum, data);
}
WHENCE_CRC_TARGET u32 step1(u32 sum, u8 data) noexcept
{
    return _mm_crc32_u8(sum, data);
}
#elif defined(__ARM_FEATURE_CRC32)
#define WHENCE_CRC_TARGET
constexpr bool has_instruction() noexcept
{
    return true;
}
u64 step8(u64 sum, u64 data) noexcept
{
    return __crc32cd(static_cast<u32>(sum), data);
}
u32 step4(u32 sum, u32 data) noexcept
{
    return __crc32cw(sum, data);
}
u32 step1(u32 sum, u8 data) noexcept
{
    return __crc32cb(sum, data);
}
#else
#define WHENCE_CRC_TARGET
constexpr bool has_instruction() noexcept
{
    return false;
}
#endif

#if defined(__x86_64__) || defined(__ARM_FEATURE_CRC32)
WHENCE_CRC_TARGET u32 crc32c_instruction(const_bytes bytes, u32 sum_before) noexcept
{
    const auto* at = bytes.data();
    auto left = bytes.size();
    u64 sum = ~sum_before;
    for (; left >= 8; at += 8, left -= 8)
        sum = step8(sum, load_little<u64>(at));
    auto rest = static_cast<u32>(sum);
    if (left >= 4) {
        rest = step4(rest, load_little<u32>(at));
        at += 4;
        left -= 4;
    }
    for (; left > 0; ++at, --left)
        rest = step1(rest, std::to_integer<u8>(*at));
    return ~rest;
}
#else
u32 crc32c_instruction(const_bytes bytes, u32 sum_before) noexcept
{
    return crc32c_portable(bytes, sum_before);
}
#endif

}  // namespace

u32 crc32c_portable(const_bytes bytes, u32 sum_before) noexcept
{
    const auto* at = bytes.data();
    auto left = bytes.size();
    u32 sum = ~sum_before;
    for (; left >= 8; at += 8, left -= 8) {
        const auto data = load_little<u64>(at) ^ sum;
        sum = 0;
        for (std::size_t i = 0; i < 8; ++i)
            sum ^= tables[7 - i][data >> (8 * i) & 0xff];
    }
    for (; left > 0; ++at, --left)
        sum = sum >> 8 ^ tables[0][(sum ^ std::to_integer<u32>(*at)) & 0xff];
    return ~sum;
}

u32 crc32c(const_bytes bytes, u32 sum_before) noexcept
{
    return has_instruction() ? crc32c_instruction(bytes, sum_before)
                             : crc32c_portable(bytes, sum_before);
}

}  // namespace whence::inline v0::proxy_protocol

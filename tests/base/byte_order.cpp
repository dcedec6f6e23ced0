#include <whence/base/byte_order.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>

using namespace whence;

TEST_CASE("integers are read and written in both byte orders", "[base]")
{
    constexpr std::array bytes{std::byte{0x12}, std::byte{0x34}, std::byte{0x56}, std::byte{0x78}};
    STATIC_REQUIRE(load_big<u32>(bytes.data()) == 0x12345678);
    STATIC_REQUIRE(load_little<u32>(bytes.data()) == 0x78563412);
    STATIC_REQUIRE(load_big<u16>(bytes.data() + 1) == 0x3456);

    std::array<std::byte, 4> out{};
    store_big<u32>(out.data(), 0x12345678);
    CHECK(out == bytes);
    store_little<u32>(out.data(), 0x78563412);
    CHECK(out == bytes);
}

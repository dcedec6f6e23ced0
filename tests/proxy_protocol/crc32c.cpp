#include <whence/proxy_protocol/crc32c.hpp>

#include <whence/base/text.hpp>

#include <catch2/catch_test_macros.hpp>

#include <random>
#include <vector>

using namespace whence;
using namespace whence::proxy_protocol;

TEST_CASE("CRC32C gives the published sums", "[proxy_protocol]")
{
    struct row {
        std::string bytes;
        u32 sum;
    };
    std::string rising(32, '\0');
    for (std::size_t i = 0; i < rising.size(); ++i)
        rising[i] = static_cast<char>(i);
    // The last four are from RFC 3720, appendix B.4.
    for (const auto& [bytes, sum] :
         {row{"", 0}, row{"a", 0xc1d04330}, row{"123456789", 0xe3069283},
          row{std::string(32, '\0'), 0x8a9136aa}, row{std::string(32, '\xff'), 0x62a8ab43},
          row{rising, 0x46dd794e}, row{{rising.rbegin(), rising.rend()}, 0x113fdb5c}})
    {
        CHECK(crc32c(as_bytes(bytes)) == sum);
        CHECK(crc32c_portable(as_bytes(bytes)) == sum);
    }
}

TEST_CASE("CRC32C is the same by instruction, by table and in pieces", "[proxy_protocol]")
{
    std::mt19937 random{20261123};
    std::vector<std::byte> bytes(600);
    for (auto& byte : bytes)
        byte = static_cast<std::byte>(random());
    for (std::size_t begin = 0; begin < 9; ++begin)
        for (std::size_t size = 0; size < 300; ++size) {
            const auto part = const_bytes{bytes}.subspan(begin, size);
            const auto sum = crc32c_portable(part);
            const auto split = size == 0 ? 0 : random() % size;
            REQUIRE(crc32c(part) == sum);
            REQUIRE(crc32c(part.subspan(split), crc32c(part.first(split))) == sum);
            REQUIRE(crc32c_portable(part.subspan(split), crc32c_portable(part.first(split))) ==
                    sum);
        }
}

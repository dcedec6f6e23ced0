#include <whence/proxy_protocol/encode.hpp>

#include "proxy_protocol/wire.hpp"

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>

#include <random>

using namespace whence;
using namespace whence::proxy_protocol;

namespace {

/// Makes up endpoints and options. The same seed makes up the same.
class generator {
public:
    explicit generator(u32 seed) : random_(seed) {}

    u64 below(u64 limit) { return random_() % limit; }

    std::string text(std::size_t size_max)
    {
        std::string out(below(size_max + 1), '\0');
        for (auto& byte : out)
            byte = static_cast<char>(below(256));
        return out;
    }

    endpoint ip_endpoint(bool v4)
    {
        std::array<std::byte, 16> bytes{};
        for (auto& byte : bytes)
            byte = below(3) == 0 ? std::byte{0} : static_cast<std::byte>(below(256));
        const auto port = static_cast<u16>(below(65536));
        if (v4)
            return {ip_address::v4(std::span{bytes}.first<4>()), port};
        return {ip_address::v6(bytes), port};
    }

    endpoint unix_endpoint()
    {
        if (below(4) == 0)
            return endpoint::unix_unnamed();
        auto name = text(106) + "x";  // an abstract name cannot end in the block's own padding
        if (below(2) == 0)
            return endpoint::unix_abstract(name);
        std::ranges::replace(name, '\0', '0');
        return endpoint::unix_path(name);
    }

private:
    std::mt19937_64 random_;
};

/// What must come out when these two go in.
std::array<endpoint, 2> joined(const endpoint& source, const endpoint& destination)
{
    if ((source.is_ip() && destination.is_ip()) || (source.is_unix() && destination.is_unix()))
        return {source.canonical(), destination.canonical()};
    return {};
}

void check_round_trip(generator& make)
{
    const auto any_endpoint = [&] {
        const auto kind = make.below(8);
        return kind == 0  ? endpoint{}
               : kind < 3 ? make.unix_endpoint()
                          : make.ip_endpoint(kind < 6);
    };
    const auto source = any_endpoint();
    const auto destination = make.below(3) == 0 ? any_endpoint() : source;
    std::vector<std::string> values;
    for (auto count = make.below(5); count > 0; --count)
        values.push_back(make.text(40));
    std::vector<tlv> entries;
    for (const auto& value : values)
        entries.push_back(
            {static_cast<tlv_type>(make.below(2) ? 0x05 : 0xe0 + make.below(16)), as_bytes(value)});
    const ssl_fields ssl{.version = "TLSv1.3", .cipher = "x"};
    const encode_options options{
        .transport = make.below(2) ? transport::stream : transport::dgram,
        .tlvs = entries,
        .ssl = make.below(3) == 0 ? &ssl : nullptr,
        .crc32c = make.below(2) == 0,
        .pad_to = make.below(3) == 0 ? static_cast<u32>(make.below(600)) : 0,
        .align = make.below(3) == 0 ? static_cast<u32>(make.below(70)) : 0,
    };
    const auto encoded = encode(source, destination, options);
    REQUIRE(encoded);
    const wire bytes{const_bytes{*encoded}};
    const auto found = parse(bytes);
    REQUIRE(found.status == parse_status::complete);
    const auto& header = found.header;
    CHECK(header.size() == bytes.size());
    const auto expected = joined(source, destination);
    CHECK(header.source() == expected[0]);
    CHECK(header.destination() == expected[1]);
    if (!header.has_addresses())
        return;  // nobody can tell where UNSPEC's entries begin
    CHECK(header.transport() == options.transport);
    CHECK(header.tlvs().crc32c().has_value() == options.crc32c);
    CHECK(header.tlvs().well_formed());
    auto at = header.tlvs().begin();
    for (const auto& entry : entries) {
        CHECK((*at).type == entry.type);
        CHECK(as_text((*at).value) == as_text(entry.value));
        ++at;
    }
    if (options.ssl != nullptr)
        CHECK(ssl_tlv{(*at).value}.version() == "TLSv1.3");
}

void check_v1_round_trip(generator& make)
{
    const auto v4 = make.below(2) == 0;
    const auto source = make.ip_endpoint(v4);
    const auto destination = make.ip_endpoint(make.below(4) == 0 ? !v4 : v4);
    const auto encoded = encode(source, destination, {.version = 1});
    REQUIRE(encoded);
    const wire bytes{const_bytes{*encoded}};
    CAPTURE(as_text(bytes));
    const auto found = parse(bytes);
    REQUIRE(found.status == parse_status::complete);
    CHECK(found.header.size() == bytes.size());
    CHECK(found.header.source() == source.canonical());
    CHECK(found.header.destination() == destination.canonical());
}

}  // namespace

TEST_CASE("what is encoded is decoded again", "[proxy_protocol]")
{
    const auto seed = Catch::getSeed();  // `--rng-seed N` runs the same again
    CAPTURE(seed);
    generator make{seed};
    for (int round = 0; round < 3000; ++round) {
        CAPTURE(round);
        check_round_trip(make);
        check_v1_round_trip(make);
    }
}

TEST_CASE("one flipped bit does not pass the checksum", "[proxy_protocol]")
{
    const auto encoded = encode(*endpoint::parse("192.0.2.1:1"), *endpoint::parse("192.0.2.2:2"),
                                {.crc32c = true, .pad_to = 48});
    REQUIRE(encoded);
    for (std::size_t bit = 16 * 8; bit < encoded->size() * 8; ++bit) {
        auto flipped = *encoded;
        flipped[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
        const auto found = parse(flipped, {.require_crc32c = true});
        CAPTURE(bit);
        CHECK(found.status == parse_status::malformed);
    }
}

#include <whence/proxy_protocol/encode.hpp>
#include <whence/proxy_protocol/trust.hpp>

#include "proxy_protocol/wire.hpp"
#include "support/scarce_memory.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdlib>

using namespace whence;
using namespace whence::proxy_protocol;

namespace {

template <class Work>
std::size_t allocations_of(Work work)
{
    const auto before = support::allocations();
    work();
    return support::allocations() - before;
}

const endpoint client = *endpoint::parse("[2001:db8::1]:56324");
const endpoint server = *endpoint::parse("198.51.100.2:443");

}  // namespace

TEST_CASE("decoding allocates nothing, right or wrong, whole or not", "[proxy_protocol]")
{
    const std::array entries{tlv{tlv_type::authority, as_bytes("example.com")},
                             tlv{tlv_type::unique_id, as_bytes("id")}};
    const ssl_fields ssl{.version = "TLSv1.3"};
    for (const auto& encoded :
         {*encode(client, server, {.tlvs = entries, .ssl = &ssl, .crc32c = true}),
          *encode(client, server, {.version = 1}), *encode({}, {}, {.version = 1}),
          *encode(endpoint::unix_path("/a"), endpoint::unix_path("/b"))})
    {
        std::size_t found = 0;
        const auto decode_all = [&] {
            for (std::size_t size = 0; size <= encoded.size(); ++size) {
                const auto part = parse(const_bytes{encoded}.first(size));
                found += part.status == parse_status::complete ? 1 : 0;
                const auto tlvs = part.header.tlvs();
                if (const auto inner = tlvs.ssl())
                    found += inner->version() == "TLSv1.3" ? 0 : 100;
                found += tlvs.authority().value_or("").size() == 12 ? 100 : 0;
            }
        };
        CHECK(allocations_of(decode_all) == 0);
        CHECK(found == 1);
    }
}

TEST_CASE("IP endpoints, printing, encoding and trust allocate nothing", "[proxy_protocol]")
{
    const trust_table table{"10.0.0.0/8", "2001:db8::/32"};
    const auto encoded = *encode(client, server);
    const peer_identity peer{client};
    std::array<std::byte, 256> room{};
    std::array<char, endpoint::text_size_max> text{};
    const auto work = [&] {
        const auto found = parse(encoded);
        const auto source = found.header.source();
        const auto copy = source;
        const bool good = copy == client && !source.print(text).empty() &&
                          encode(client, server, {.crc32c = true}, room).has_value() &&
                          encode(client, server, {.version = 1}, room).has_value() &&
                          table.decide(peer).outcome == trust_outcome::require;
        if (!good)
            std::abort();
    };
    CHECK(allocations_of(work) == 0);
}

TEST_CASE("an owned header is one allocation, or none when it says nothing", "[proxy_protocol]")
{
    const auto proxied = *encode(client, server, {.crc32c = true});
    const auto local = *encode({}, {}, {.command = command::local});
    CHECK(allocations_of([&] { const header kept{parse(proxied).header}; }) == 1);
    CHECK(allocations_of([&] { const header kept{parse(local).header}; }) == 0);
    const auto names = *encode(endpoint::unix_path("/a"), endpoint::unix_path("/b"));
    CHECK(allocations_of([&] { const auto source = parse(names).header.source(); }) == 1);
}

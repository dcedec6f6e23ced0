// How long does it take to decode a PROXY protocol header, and to write one?
//
//   bench/header [rounds]      default 41
//
// Every shape is decoded from the same bytes again and again, so caches and branch predictors are
// warm: this is the price of the instructions alone. The baseline is a copy of 135 bytes.

#include "measure.hpp"

#include <whence/base/text.hpp>
#include <whence/proxy_protocol/encode.hpp>
#include <whence/proxy_protocol/parse.hpp>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

using namespace whence;
using namespace whence::proxy_protocol;
using bench::keep;

namespace {

constexpr std::size_t repeats = 100'000;

void decode(bench::table& results, const char* name, int rounds,
            const std::vector<std::byte>& bytes, bench::bounds wanted)
{
    if (parse(bytes).status != parse_status::complete)
        std::abort();
    const auto title = "decode " + std::string{name} + ", " + std::to_string(bytes.size()) + " B";
    results.row(title.c_str(),
                bench::time(rounds, repeats,
                            [&bytes] {
                                keep(bytes);
                                keep(parse(bytes));
                            }),
                wanted);
}

}  // namespace

int main(int argc, char** argv)
{
    const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 41;
    bench::table results{"PROXY protocol header"};

    const auto source = *endpoint::parse("192.0.2.1:56324");
    const auto destination = *endpoint::parse("198.51.100.2:443");
    const auto source6 = *endpoint::parse("[2001:db8::1]:56324");
    const auto destination6 = *endpoint::parse("[2001:db8:1:2:3:4:5:6]:443");
    const std::string id(64, 'u');
    const std::vector<tlv> entries{{tlv_type::alpn, as_bytes("h2")},
                                   {tlv_type::authority, as_bytes("lobby-01.game.example.com")},
                                   {tlv_type::unique_id, as_bytes(id)}};
    const encode_options plain, checked{.tlvs = entries, .crc32c = true};
    const auto v2 = *encode(source, destination, plain);
    const auto v2_tlvs = *encode(source, destination, {.tlvs = entries});
    const auto v2_crc = *encode(source, destination, checked);
    const auto v1 = *encode(source, destination, {.version = 1});
    const auto v1_tcp6 = *encode(source6, destination6, {.version = 1});

    std::vector<std::byte> room(256);
    results.row("baseline: copy 135 bytes", bench::time(rounds, repeats, [&] {
                    keep(v2_crc);
                    std::memcpy(room.data(), v2_crc.data(),
                                std::min<std::size_t>(v2_crc.size(), 135));
                    keep(room);
                }));
    decode(results, "v2 TCP4", rounds, v2, {10, 6});
    decode(results, "v2 TCP4, 3 TLVs", rounds, v2_tlvs, {{}, 12});
    decode(results, "v2 TCP4, 4 TLVs with CRC32C", rounds, v2_crc, {50, 35});
    decode(results, "v1 TCP4", rounds, v1, {45, 35});
    decode(results, "v1 TCP6", rounds, v1_tcp6, {{}, 60});

    const auto write = [&](const char* name, const encode_options& options) {
        results.row(name, bench::time(rounds, repeats, [&] {
                        keep(options);
                        keep(encode(source, destination, options, room));
                        keep(room);
                    }));
    };
    write("encode v2 TCP4", plain);
    write("encode v2 TCP4, 4 TLVs with CRC32C", checked);
    write("encode v1 TCP4", {.version = 1});
    return results.status();
}

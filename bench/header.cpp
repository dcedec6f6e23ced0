// How long does it take to decode a PROXY protocol header, and to write one?
//
//   bench/header [rounds]      default 41
//
// Every shape is decoded from the same bytes again and again, so caches and branch predictors are
// warm: this is the price of the instructions alone. The baseline is a copy of 135 bytes.

#include <whence/base/text.hpp>
#include <whence/proxy_protocol/encode.hpp>
#include <whence/proxy_protocol/parse.hpp>

#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

using namespace whence;
using namespace whence::proxy_protocol;

namespace {

template <class T>
void keep(const T& value)
{
    asm volatile("" : : "r"(&value) : "memory");
}

template <class Work>
void measure(const char* name, int rounds, Work work)
{
    constexpr int repeats = 200'000;
    std::vector<double> each;
    for (int round = 0; round < rounds; ++round) {
        const auto begin = std::chrono::steady_clock::now();
        for (int i = 0; i < repeats; ++i)
            work();
        const std::chrono::duration<double, std::nano> spent =
            std::chrono::steady_clock::now() - begin;
        each.push_back(spent.count() / repeats);
    }
    std::ranges::sort(each);
    const auto at = [&](double share) {
        return each[static_cast<std::size_t>(share * static_cast<double>(each.size() - 1))];
    };
    std::printf("%-44s %7.1f ns   (%.1f to %.1f)\n", name, at(0.5), at(0), at(0.9));
}

void decode(const char* name, int rounds, const std::vector<std::byte>& bytes)
{
    if (parse(bytes).status != parse_status::complete)
        std::abort();
    const auto title = "decode " + std::string{name} + ", " + std::to_string(bytes.size()) + " B";
    measure(title.c_str(), rounds, [&bytes] {
        keep(bytes);
        keep(parse(bytes));
    });
}

void print_machine()
{
    utsname host{};
    uname(&host);
    std::string line;
    std::ifstream cpu{"/proc/cpuinfo"};
    while (std::getline(cpu, line) && !line.starts_with("model name"))
        ;
    std::printf("machine   %s, %s %s\nbuild     %s\n\n", line.c_str(), host.sysname, host.release,
                WHENCE_BENCH_BUILD);
}

}  // namespace

int main(int argc, char** argv)
{
    const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 41;
    print_machine();
    std::printf("median of %d rounds (best to 90th percentile)\n", rounds);

    const auto source = *endpoint::parse("192.0.2.1:56324");
    const auto destination = *endpoint::parse("198.51.100.2:443");
    const auto source6 = *endpoint::parse("[2001:db8::1]:56324");
    const auto destination6 = *endpoint::parse("[2001:db8:1:2:3:4:5:6]:443");
    const std::string id(64, 'u');
    const std::vector<tlv> entries{{tlv_type::alpn, as_bytes("h2")},
                                   {tlv_type::authority, as_bytes("game.example.com")},
                                   {tlv_type::unique_id, as_bytes(id)}};
    const encode_options plain, checked{.tlvs = entries, .crc32c = true};
    const auto v2 = *encode(source, destination, plain);
    const auto v2_tlvs = *encode(source, destination, {.tlvs = entries});
    const auto v2_crc = *encode(source, destination, checked);
    const auto v1 = *encode(source, destination, {.version = 1});
    const auto v1_tcp6 = *encode(source6, destination6, {.version = 1});

    std::vector<std::byte> room(256);
    measure("baseline: copy 135 bytes", rounds, [&] {
        keep(v2_crc);
        std::memcpy(room.data(), v2_crc.data(), std::min<std::size_t>(v2_crc.size(), 135));
        keep(room);
    });
    decode("v2 TCP4", rounds, v2);
    decode("v2 TCP4, 3 TLVs", rounds, v2_tlvs);
    decode("v2 TCP4, 4 TLVs with CRC32C", rounds, v2_crc);
    decode("v1 TCP4", rounds, v1);
    decode("v1 TCP6", rounds, v1_tcp6);

    const auto write = [&](const char* name, const encode_options& options) {
        measure(name, rounds, [&] {
            keep(options);
            keep(encode(source, destination, options, room));
            keep(room);
        });
    };
    write("encode v2 TCP4", plain);
    write("encode v2 TCP4, 4 TLVs with CRC32C", checked);
    write("encode v1 TCP4", {.version = 1});
}

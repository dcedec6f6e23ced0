#include "interop/tls.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <sstream>

using namespace support;
using nlohmann::json;

namespace {

std::string type_and_size(int type, std::size_t size)
{
    return {static_cast<char>(type), static_cast<char>(size >> 8), static_cast<char>(size & 255)};
}

/// CRC32C bit by bit: nothing that it shares with the code under test.
std::string crc32c(const std::string& bytes)
{
    std::uint32_t sum = ~0u;
    for (const char byte : bytes) {
        sum ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; ++bit)
            sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0x82f63b78u : 0u);
    }
    sum = ~sum;
    return {static_cast<char>(sum >> 24), static_cast<char>(sum >> 16), static_cast<char>(sum >> 8),
            static_cast<char>(sum)};
}

std::string ipv4_bytes(const std::string& address)
{
    std::string bytes;
    std::istringstream text{address};
    for (std::string part; std::getline(text, part, '.');)
        bytes += static_cast<char>(std::stoi(part));
    return bytes;
}

/// The header as HAProxy must have sent it, with the sum zeroed, from what whoami answered.
std::string header_again(const json& answer)
{
    std::string hosts;
    std::string ports;
    for (const char* field : {"client", "server"}) {
        const auto text = answer.at(field).get<std::string>();
        const int port = std::stoi(text.substr(text.find(':') + 1));
        hosts += ipv4_bytes(text);
        ports += {static_cast<char>(port >> 8), static_cast<char>(port)};
    }
    std::string block = hosts + ports;
    for (const json& tlv : answer.at("tlvs")) {
        const std::string value = bytes_of(tlv.at("hex"));
        const int type = tlv.at("type");
        block += type_and_size(type, value.size()) + (type == 3 ? std::string(4, '\0') : value);
    }
    return std::string{"\r\n\r\n\0\r\nQUIT\n\x21", 13} + type_and_size(0x11, block.size()) + block;
}

struct tls_case {
    std::vector<std::string> words;  // of s_client
    const char* version;
    const char* cipher;
};

}  // namespace

TEST_CASE("HAProxy's TLVs say what is true of a TLS client", "[interop][haproxy][tls]")
{
    const certificates made;
    whoami_server server{trusting()};
    haproxy proxy{{.server = server.address(),
                   .server_words = "send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,"
                                   "cert-key,authority,crc32c,unique-id",
                   .bind_words = "ssl crt " + made.pem("server") +
                                 " alpn h2,http/1.1 verify optional ca-file " + made.pem("client"),
                   .frontend_lines = "    unique-id-format id-%ci:%cp\n"}};
    const tls_case cases[]{
        {{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"},
         "TLSv1.2",
         "ECDHE-ECDSA-AES128-GCM-SHA256"},
        {{"-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"},
         "TLSv1.3",
         "TLS_CHACHA20_POLY1305_SHA256"},
    };
    for (const tls_case& one : cases) {
        for (const bool with_certificate : {false, true}) {
            CAPTURE(one.version, with_certificate);
            std::vector<std::string> words = one.words;
            if (with_certificate)
                words.insert(words.end(),
                             {"-cert", made.pem("client"), "-key", made.pem("client")});
            process through{s_client(proxy.address(), words), {.input = "hello through TLS\n"}};
            const auto line = through.wait_for_output(holds({"\"client\":"}));
            INFO(through.errors_text());
            REQUIRE(line);
            CHECK(through.wait_for_output(holds({"hello through TLS"})));

            const json answer = json::parse(*line);
            const auto who = answer.at("client").get<std::string>();
            CHECK(who.starts_with("127.0.0.1:"));
            CHECK(answer.at("server") == proxy.address());
            CHECK(value_of(answer, 0x01) == "http/1.1");
            CHECK(value_of(answer, 0x02) == "play.example.org");
            CHECK(value_of(answer, 0x03) == crc32c(header_again(answer)));
            CHECK(value_of(answer, 0x05) == "id-" + who);
            const std::string ssl = value_of(answer, 0x20);
            // Over TLS; a certificate on this connection and in this session. Verified: all zero.
            CHECK(ssl.substr(0, 5) == std::string{with_certificate ? '\x07' : '\x01', 0, 0, 0, 0});
            std::map<int, std::string> expected{{0x21, one.version},
                                                {0x23, one.cipher},
                                                {0x24, "ecdsa-with-SHA256"},
                                                {0x25, "EC256"}};
            if (with_certificate)
                expected[0x22] = "A client";
            CHECK(inside(ssl) == expected);
            CHECK(answer.at("tlvs").size() == 5);
        }
    }
    CHECK(server.count_of("refused") == 0);
}

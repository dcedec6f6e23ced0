#include "interop/tls.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fstream>

namespace support {

using nlohmann::json;

certificates::certificates()
{
    make("server", "/CN=front.example");
    make("client", "/CN=A client");
}

void certificates::make(const std::string& who, const std::string& subject) const
{
    output_of({find_program("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:prime256v1", "-sha256", "-nodes", "-days", "2", "-subj", subject,
               "-keyout", pem(who), "-out", folder_ / "certificate"});
    std::ifstream certificate{folder_ / "certificate"};
    std::ofstream{pem(who), std::ios::app} << certificate.rdbuf();
}

std::vector<std::string> s_client(const std::string& address, std::vector<std::string> more)
{
    std::vector<std::string> command{find_program("openssl", "openssl"),
                                     "s_client",
                                     "-quiet",
                                     "-connect",
                                     address,
                                     "-servername",
                                     "play.example.org",
                                     "-alpn",
                                     "http/1.1"};
    command.insert(command.end(), more.begin(), more.end());
    return command;
}

std::string bytes_of(const std::string& hex)
{
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2)
        bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return bytes;
}

std::string value_of(const json& answer, int type)
{
    std::optional<std::string> found;
    for (const json& tlv : answer.at("tlvs")) {
        if (tlv.at("type") == type) {
            CHECK_FALSE(found);
            found = bytes_of(tlv.at("hex"));
        }
    }
    return found.value_or("(absent)");
}

std::map<int, std::string> inside(const std::string& ssl)
{
    std::map<int, std::string> entries;
    for (std::size_t at = 5; at + 3 <= ssl.size();) {
        const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(ssl.at(at + i)); };
        const std::size_t size = byte(1) * 256u + byte(2);
        entries[byte(0)] = ssl.substr(at + 3, size);
        at += 3 + size;
    }
    return entries;
}

}  // namespace support

#pragma once

#include "interop/proxies.hpp"

#include <map>
#include <string>
#include <vector>

namespace support {

/// Holds certificates made for one run: a server's (EC P-256), and a client's that signs itself.
class certificates {
public:
    certificates();

    /// The file with the key and the certificate of "server" or "client".
    std::string pem(const std::string& who) const { return folder_ / (who + ".pem"); }

private:
    void make(const std::string& who, const std::string& subject) const;

    temporary_directory folder_;
};

/// Gives the command of a TLS client for play.example.org that asks for http/1.1 by ALPN.
std::vector<std::string> s_client(const std::string& address, std::vector<std::string> more = {});

std::string bytes_of(const std::string& hex);

/// Gives the value of the only TLV of a type in whoami's answer, or "(absent)".
std::string value_of(const nlohmann::json& answer, int type);

/// Gives the entries inside of the SSL TLV, behind its five bytes.
std::map<int, std::string> inside(const std::string& ssl);

}  // namespace support

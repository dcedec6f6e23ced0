#include <whence/proxy_protocol/hint.hpp>

#include <whence/base/text.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

using namespace whence;
using namespace std::string_view_literals;
using proxy_protocol::hint_of;

TEST_CASE("what came instead of a header is named by its first bytes", "[proxy_protocol]")
{
    struct row {
        std::string_view bytes;
        std::string_view hint;
    };
    const row rows[] = {
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"sv, "TLS ClientHello"},
        {"\x16\x03\x03\x00\x05\x01"sv, "TLS ClientHello"},
        {"\x16\x03\x03\x00\x05\x02"sv, ""},  // a ServerHello
        {"\x16\x03\x09\x00\x05\x01"sv, ""},
        {"\x16\x03\xff\x00\x05\x01"sv, ""},
        {"\x17\x03\x03\x00\x05\x01"sv, ""},
        {"GET / HTTP/1.1\r\n", "HTTP request"},
        {"POST /", "HTTP request"},
        {"OPTIONS *", "HTTP request"},
        {"GETAWAY", ""},
        {"get / http/1.1", ""},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2 preface"},
        {"SSH-2.0-OpenSSH_9.2p1\r\n", "SSH greeting"},
        {"EHLO mail.example\r\n", "SMTP greeting"},
        {"PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\n", "PROXY v1 header"},
        {"PROXY UNKNOWN\r\n", "PROXY v1 header"},
        {"PROXY is a word", ""},
        {"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"sv, "PROXY v2 signature"},
        {"\r\n\r\n\0\r\nQUIT"sv, ""},
        {"\0\0\0\0"sv, ""},
        {"", ""},
    };
    for (const row& one : rows) {
        CAPTURE(quoted(one.bytes));
        CHECK(hint_of(as_bytes(one.bytes)) == one.hint);
    }
}

TEST_CASE("a part of a beginning is no hint yet, and what follows one does not matter",
          "[proxy_protocol]")
{
    for (const std::string_view whole : {"\x16\x03\x01\x02\x00\x01"sv, "GET "sv, "SSH-"sv,
                                         "\r\n\r\n\0\r\nQUIT\n"sv, "PROXY TCP6 "sv})
    {
        for (std::size_t size = 0; size < whole.size(); ++size)
            CHECK(hint_of(as_bytes(whole.substr(0, size))).empty());
        const std::string longer = std::string{whole} + std::string(300, '\xff');
        CHECK(hint_of(as_bytes(longer)) == hint_of(as_bytes(whole)));
        CHECK_FALSE(hint_of(as_bytes(whole)).empty());
    }
}

#include <whence/asio_interop/header_error.hpp>

#include <catch2/catch_test_macros.hpp>

#include <set>

using namespace whence::asio_interop;

TEST_CASE("every header error has words of its own", "[asio_interop]")
{
    std::set<std::string> words;
    for (int kind = 1; kind <= static_cast<int>(header_error::unspeakable); ++kind)
        words.insert(make_error_condition(static_cast<header_error>(kind)).message());
    CHECK(words.size() == static_cast<std::size_t>(header_error::unspeakable));
    CHECK_FALSE(words.contains("unknown header error"));
}

TEST_CASE("a header error is compared by kind, told with its reason", "[asio_interop]")
{
    const std::error_code crc =
        internal::header_error_code(whence::proxy_protocol::parse_reason::crc_mismatch);
    CHECK(crc == header_error::malformed);
    CHECK(crc != header_error::truncated);
    CHECK(crc.message() == "malformed PROXY header (crc_mismatch)");
    // The first of an enumeration is a reason, too.
    const std::error_code version =
        internal::header_error_code(whence::proxy_protocol::encode_error::version_unknown);
    CHECK(version == header_error::unspeakable);
    CHECK(version.message() == "no PROXY header can say that (version_unknown)");
}

TEST_CASE("a header error has the name that logs know", "[asio_interop]")
{
    CHECK(reason_of(internal::header_error_code(header_error::untrusted)) == "untrusted");
    CHECK(reason_of(internal::header_error_code(
              whence::proxy_protocol::parse_reason::crc_mismatch)) == "malformed");
    CHECK(reason_of(internal::header_error_code(header_error::too_large)) == "too_large");
    CHECK(reason_of(internal::header_error_code(header_error::too_late)) == "too_late");
    CHECK(reason_of(internal::header_error_code(header_error::truncated)) == "truncated");
    CHECK(reason_of(internal::header_error_code(header_error::closed)) == "closed");
    CHECK(reason_of(internal::header_error_code(header_error::unspeakable)) == "unspeakable");
    CHECK(reason_of(std::make_error_code(std::errc::connection_reset)) == "failed");
    CHECK(reason_of({}) == "failed");
}

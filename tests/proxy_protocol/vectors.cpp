#include <whence/proxy_protocol/parse.hpp>

#include "proxy_protocol/wire.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <fstream>

using namespace whence;
using namespace whence::proxy_protocol;
using nlohmann::json;

namespace {

json load(const std::string& name, const char* list)
{
    std::ifstream file{WHENCE_TEST_DATA "/" + name};
    REQUIRE(file);
    return json::parse(file).at(list);
}

/// A vector's own word: text for IP, hex of the name as it was in the block for UNIX, null.
json as_vector(const endpoint& value)
{
    if (value.empty())
        return nullptr;
    if (!value.is_unix())
        return to_string(value);
    std::string name{value.unix_name()};
    if (value.kind() == endpoint_kind::unix_abstract)
        name.insert(name.begin(), '\0');
    return json{{"unix_hex", hex_text(as_bytes(name))}};
}

json as_vector(const tlv& entry);

json as_vector(tlv_range entries)
{
    auto list = json::array();
    for (const auto entry : entries)
        list.push_back(as_vector(entry));
    return list;
}

json as_vector(const tlv& entry)
{
    json out{{"type", static_cast<unsigned>(entry.type)}, {"hex", hex_text(entry.value)}};
    if (entry.type == tlv_type::ssl) {
        const ssl_tlv ssl{entry.value};
        out["client"] = ssl.client();
        out["verify"] = ssl.verify();
        out["sub"] = as_vector(ssl.tlvs());
    }
    return out;
}

json as_vector(const parse_result& found)
{
    if (found.status == parse_status::malformed)
        return {{"result", "reject"}, {"reason", to_string(found.reason)}};
    if (found.status != parse_status::complete)
        return {{"result", to_string(found.status)}, {"reason", to_string(found.reason)}};
    const auto& header = found.header;
    return {{"result", "accept"},
            {"version", header.version()},
            {"command", to_string(header.command())},
            {"family", to_string(header.family())},
            {"transport", to_string(header.transport())},
            {"source", as_vector(header.source_as_sent())},
            {"destination", as_vector(header.destination_as_sent())},
            {"tlvs", as_vector(header.tlvs())},
            {"consumed", header.size()}};
}

/// Keeps the reason's name and drops the remark; an accepted vector's reason is only a remark.
json expectation(const json& vector)
{
    auto expect = vector.at("expect");
    if (expect.at("result") == "accept") {
        expect.erase("reason");
    } else {
        const auto reason = expect.at("reason").get<std::string>();
        expect["reason"] = reason.substr(0, reason.find(';'));
    }
    return expect;
}

parse_options options_of(const json& vector)
{
    parse_options options;
    if (vector.value("profile", "") == "datagram")
        options.profile = parse_profile::datagram;
    if (vector.at("name") == "tlv_len_65535_total")
        options.header_size_max = 65535;  // the only one beyond the default, on purpose
    return options;
}

/// Writes a version 1 header's line again, without its CRLF.
std::string line_of(const header_view& header)
{
    if (!header.has_addresses())
        return "PROXY UNKNOWN";
    const auto source = header.source();
    const auto destination = header.destination();
    return (source.address().is_v4() ? "PROXY TCP4 " : "PROXY TCP6 ") +
           to_string(source.address()) + " " + to_string(destination.address()) + " " +
           std::to_string(source.port()) + " " + std::to_string(destination.port());
}

void check_recorded(const header_view& header, const json& decoded)
{
    const auto word = [&](const char* key) { return decoded.value(key, ""); };
    CHECK(header.version() == decoded.at("version").get<unsigned>());
    CHECK(header.size() == decoded.at("header_bytes").get<std::size_t>());
    if (header.version() == 1) {
        CHECK(line_of(header) == word("line"));
        return;
    }
    CHECK(to_string(header.command()) == word("command"));
    CHECK(to_string(header.family()) == word("family"));
    CHECK(to_string(header.transport()) == word("proto"));
    if (header.command() == command::local)
        return;  // its entries are not ours to read
    CHECK(to_string(header.source_as_sent()) == word("src"));
    CHECK(to_string(header.destination_as_sent()) == word("dst"));
    std::vector<std::size_t> entries;
    for (const auto entry : header.tlvs())
        entries.insert(entries.end(), {static_cast<std::size_t>(entry.type), entry.value.size()});
    std::vector<std::size_t> recorded;
    for (const auto& entry : decoded.at("tlvs"))
        recorded.insert(recorded.end(), {std::stoul(entry.at("type").get<std::string>(), {}, 16),
                                         entry.at("len").get<std::size_t>()});
    CHECK(entries == recorded);
}

}  // namespace

TEST_CASE("every vector is decoded as it says", "[proxy_protocol]")
{
    const auto vectors = load("proxy_protocol.json", "vectors");
    REQUIRE(vectors.size() == 158);
    for (const auto& vector : vectors) {
        CAPTURE(vector.at("name").get<std::string>(), vector.at("rule").get<int>());
        const auto bytes = from_hex(vector.at("hex").get<std::string>());
        CHECK(as_vector(parse(bytes, options_of(vector))) == expectation(vector));
    }
}

TEST_CASE("every vector gives the same at every split", "[proxy_protocol]")
{
    for (const auto& vector : load("proxy_protocol.json", "vectors")) {
        CAPTURE(vector.at("name").get<std::string>());
        if (vector.contains("profile"))
            continue;  // a datagram is never split
        const auto bytes = from_hex(vector.at("hex").get<std::string>());
        const auto options = options_of(vector);
        const auto whole = parse(bytes, options);
        // Growing byte by byte, the first final answer is the answer, and missing never overshoots.
        const auto step = bytes.size() > 1000 ? bytes.size() / 100 : 1;
        for (std::size_t size = 0; size < bytes.size(); size += step) {
            CAPTURE(size);
            const wire prefix{bytes.first(size)};
            const auto part = parse(prefix, options);
            if (part.status == parse_status::incomplete) {
                CHECK(part.reason == parse_reason::need_more);
                CHECK(part.missing >= 1);
                const auto end = whole.header.size();
                CHECK((whole.status != parse_status::complete || size + part.missing <= end));
                continue;
            }
            CHECK(part.status == whole.status);
            CHECK(part.reason == whole.reason);
            CHECK(part.position == whole.position);
            const bool early = part.status == parse_status::complete && size < whole.header.size();
            CHECK_FALSE(early);
            CHECK(as_vector(part) == as_vector(whole));
        }
    }
}

TEST_CASE("every proper prefix of an accepted header is incomplete", "[proxy_protocol]")
{
    for (const auto& vector : load("proxy_protocol.json", "vectors")) {
        if (vector.at("expect").at("result") != "accept")
            continue;
        CAPTURE(vector.at("name").get<std::string>());
        const auto bytes = from_hex(vector.at("hex").get<std::string>());
        auto options = options_of(vector);
        const auto consumed = vector.at("expect").at("consumed").get<std::size_t>();
        for (std::size_t size = 0; size < consumed; ++size) {
            const auto part = parse(bytes.first(size), options);
            const bool datagram = options.profile == parse_profile::datagram;
            if (part.status != (datagram ? parse_status::malformed : parse_status::incomplete))
                FAIL("prefix of " << size << " bytes: " << to_string(part.status));
        }
        CHECK(parse(bytes.first(consumed), options).status == parse_status::complete);
    }
}

TEST_CASE("captured streams of other programs are decoded as recorded", "[proxy_protocol]")
{
    const auto captured = load("captured.json", "recorded");
    REQUIRE(captured.size() > 30);
    for (const auto& record : captured) {
        CAPTURE(record.at("name").get<std::string>());
        const auto header = record.at("header_hex").get<std::string>();
        const auto bytes = from_hex(header + record.at("payload_hex").get<std::string>());
        parse_options options;
        if (record.at("transport") == "udp")
            options.profile = parse_profile::datagram;
        const auto found = parse(bytes, options);
        if (record.at("must_reject").get<bool>()) {
            CHECK(found.status != parse_status::complete);
            continue;
        }
        REQUIRE(found.status == parse_status::complete);
        check_recorded(found.header, record.at("decoded"));
    }
}

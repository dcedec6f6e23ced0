#include "programs/whoami_server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fstream>

using namespace support;
using nlohmann::json;

namespace {

constexpr std::size_t one_by_one_size_max = 64;
constexpr const char* beyond_default = "tlv_len_65535_total";

json load(const std::string& name, const char* list)
{
    std::ifstream file{WHENCE_TEST_DATA "/" + name};
    REQUIRE(file);
    return json::parse(file).at(list);
}

json stream_vectors()
{
    json chosen = json::array();
    for (const json& vector : load("proxy_protocol.json", "vectors")) {
        if (vector.value("profile", "stream") == "stream")
            chosen.push_back(vector);
    }
    REQUIRE(chosen.size() == 151);
    return chosen;
}

std::string bytes_of(const std::string& hex)
{
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2)
        bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return bytes;
}

/// How whoami prints a UNIX name: what is unprintable as \xNN, a leading NUL as @.
std::string printed_name(std::string name)
{
    std::string text = "unix:";
    if (!name.empty() && name.front() == '\0') {
        text += '@';
        name.erase(0, 1);
    }
    for (const char byte : name) {
        if (byte > ' ' && byte < '\x7f')
            text += byte;
        else
            text += std::string{"\\x"} + "0123456789abcdef"[(byte >> 4) & 15] +
                    "0123456789abcdef"[byte & 15];
    }
    return text;
}

/// The vector's word for an address in whoami's way: an IPv4-mapped one prints as IPv4.
std::string printed(const json& address)
{
    if (address.is_object())
        return printed_name(bytes_of(address.at("unix_hex")));
    auto text = address.get<std::string>();
    if (text.starts_with("[::ffff:") && text.find('.') != std::string::npos)
        return text.substr(8, text.find(']') - 8) + text.substr(text.find(']') + 1);
    return text;
}

json types_and_values(const json& tlvs)
{
    json list = json::array();
    for (const json& tlv : tlvs)
        list.push_back({tlv.at("type"), tlv.at("hex")});
    return list;
}

bool send_in_way(client& from, const std::string& bytes, bool one_by_one)
{
    return one_by_one ? from.send_one_by_one(bytes) : from.send(bytes);
}

void check_accepted(const whoami_server& server, const json& vector, bool one_by_one)
{
    const json& expect = vector.at("expect");
    const std::string bytes = bytes_of(vector.at("hex"));
    const std::string rest = bytes.substr(expect.at("consumed")) + "the end";
    client from{server.address()};
    const std::string peer = from.local();
    CHECK(send_in_way(from, bytes, one_by_one));
    CHECK(from.send("the end"));
    from.finish();
    const conversation said = read_conversation(from);
    CHECK(said.how == ending::closed);
    CHECK(said.echo == rest);
    REQUIRE(said.answer.is_object());
    for (const char* field : {"version", "command", "family", "transport"})
        CHECK(said.answer.at(field) == expect.at(field));
    CHECK(said.answer.at("peer") == peer);
    CHECK(said.answer.at("local") == server.address());
    const bool named = !expect.at("source").is_null();
    const bool local = expect.at("command") == "LOCAL";
    CHECK(said.answer.at("origin") == (local ? "local" : named ? "proxied" : "unknown"));
    CHECK(said.answer.at("client") == (named ? printed(expect.at("source")) : peer));
    CHECK(said.answer.at("server") ==
          (named ? printed(expect.at("destination")) : server.address()));
    CHECK(types_and_values(said.answer.at("tlvs")) == types_and_values(expect.at("tlvs")));
}

void check_refused(whoami_server& server, const std::string& bytes, const std::string& reason,
                   bool one_by_one)
{
    client from{server.address()};
    const std::string peer = from.local();
    send_in_way(from, bytes, one_by_one);  // refused at the first wrong byte: not all may go
    if (reason == "truncated")
        from.finish();
    CHECK(from.read_to_end().refused());
    CHECK(server.refusal_of(peer) == reason);
}

void check_vectors(whoami_server& server, bool one_by_one)
{
    std::size_t checked = 0;
    for (const json& vector : stream_vectors()) {
        const auto name = vector.at("name").get<std::string>();
        const std::string bytes = bytes_of(vector.at("hex"));
        if (name == beyond_default || (one_by_one && bytes.size() > one_by_one_size_max))
            continue;
        CAPTURE(name, one_by_one);
        const auto result = vector.at("expect").at("result").get<std::string>();
        ++checked;
        if (result == "accept")
            check_accepted(server, vector, one_by_one);
        else
            check_refused(server, bytes, result == "incomplete" ? "truncated" : "malformed",
                          one_by_one);
    }
    CHECK(checked > (one_by_one ? 80u : 149u));
}

/// Writes the version 1 line for what whoami answered.
std::string line_of(const json& answer)
{
    std::string hosts;
    std::string ports;
    for (const char* field : {"client", "server"}) {
        const auto text = answer.at(field).get<std::string>();
        const std::size_t colon = text.rfind(':');
        const bool v6 = text.front() == '[';
        hosts += ' ' + text.substr(v6, colon - 2 * std::size_t{v6});
        ports += text.substr(colon).replace(0, 1, " ");
    }
    return "PROXY " + std::string{answer.at("family") == "INET6" ? "TCP6" : "TCP4"} + hosts + ports;
}

const json& vector_named(const json& vectors, const std::string& name)
{
    for (const json& vector : vectors) {
        if (vector.at("name") == name)
            return vector;
    }
    throw std::out_of_range(name);
}

}  // namespace

TEST_CASE("whoami decodes or refuses every vector", "[vectors]")
{
    whoami_server server{trusting()};
    check_vectors(server, false);
    CHECK(server.count_of("session_failed") == 0);
}

TEST_CASE("whoami decodes or refuses every short vector byte by byte", "[vectors]")
{
    whoami_server server{trusting()};
    check_vectors(server, true);
    CHECK(server.count_of("session_failed") == 0);
}

TEST_CASE("a header of 65535 bytes is a matter of --header-size-max", "[vectors]")
{
    const json vectors = stream_vectors();
    const json& largest = vector_named(vectors, beyond_default);
    whoami_server usual{trusting()};
    check_refused(usual, bytes_of(largest.at("hex")), "too_large", false);
    whoami_server generous{trusting({"--header-size-max", "65535"})};
    check_accepted(generous, largest, false);
}

TEST_CASE("whoami decodes or refuses every recorded sender", "[vectors]")
{
    whoami_server server{trusting()};
    const json recorded = load("captured.json", "recorded");
    REQUIRE(recorded.size() == 46);
    for (const json& one : recorded) {
        CAPTURE(one.at("name").get<std::string>());
        REQUIRE(one.at("transport") == "tcp");
        const std::string header = bytes_of(one.at("header_hex"));
        const std::string payload = bytes_of(one.at("payload_hex"));
        if (one.at("must_reject").get<bool>()) {
            // Both are a version 2 header of 15 bytes.
            check_refused(server, header, "malformed", false);
            continue;
        }
        client from{server.address()};
        const conversation said = converse(from, header + payload);
        CHECK(said.echo == payload);
        CHECK(said.how == ending::closed);
        REQUIRE(said.answer.is_object());
        const json& decoded = one.at("decoded");
        CHECK(said.answer.at("version") == decoded.at("version"));
        const std::string line = decoded.value("line", "");
        if (decoded.value("command", "") == "LOCAL") {
            CHECK(said.answer.at("origin") == "local");
        } else if (line == "PROXY UNKNOWN") {
            CHECK(said.answer.at("origin") == "unknown");
        } else if (line.empty()) {
            CHECK(said.answer.at("client") == decoded.at("src"));
            CHECK(said.answer.at("server") == decoded.at("dst"));
            CHECK(said.answer.at("tlvs").size() == decoded.at("tlvs").size());
        } else {
            CHECK(said.answer.at("origin") == "proxied");
            CHECK(line_of(said.answer) == line);
        }
    }
}

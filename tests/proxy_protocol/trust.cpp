#include <whence/proxy_protocol/trust.hpp>

#include <catch2/catch_test_macros.hpp>

#include <stdexcept>

using namespace whence;
using namespace whence::proxy_protocol;

namespace {

peer_identity peer(std::string_view text)
{
    return *endpoint::parse(text);
}

std::string refusal_of(std::initializer_list<std::string_view> sources)
{
    try {
        const trust_table table(sources);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "accepted";
}

}  // namespace

TEST_CASE("named sources must send a header and nobody else may speak", "[proxy_protocol]")
{
    const trust_table table{"10.0.0.5", "192.168.0.0/16", "2001:db8::/32"};
    struct row {
        std::string_view peer;
        trust_outcome outcome;
        std::string_view source;
    };
    for (const auto& [text, outcome, source] : {
             row{"10.0.0.5:4000", trust_outcome::require, "10.0.0.5/32"},
             row{"10.0.0.6:4000", trust_outcome::refuse, ""},
             row{"192.168.255.1:1", trust_outcome::require, "192.168.0.0/16"},
             row{"[::ffff:10.0.0.5]:4000", trust_outcome::require, "10.0.0.5/32"},
             row{"[::ffff:10.0.0.6]:4000", trust_outcome::refuse, ""},
             row{"[2001:db8::1]:1", trust_outcome::require, "2001:db8::/32"},
             row{"[2001:db9::1]:1", trust_outcome::refuse, ""},
             row{"unix:/run/proxy.sock", trust_outcome::refuse, ""},
             row{"unix:", trust_outcome::refuse, ""},
             row{"-", trust_outcome::refuse, ""},
         })
    {
        CAPTURE(text);
        const auto decision = table.decide(peer(text));
        CHECK(decision.outcome == outcome);
        CHECK(decision.source == source);
    }
}

TEST_CASE("the longest prefix decides, in whatever order the entries came", "[proxy_protocol]")
{
    for (const bool reversed : {false, true}) {
        trust_table table{reversed ? "10.1.0.0/16" : "10.0.0.0/8"};
        table.add("10.0.0.9", trust_outcome::refuse).add("0.0.0.0/0", trust_outcome::direct);
        table.add(reversed ? "10.0.0.0/8" : "10.1.0.0/16", trust_outcome::require);
        table.add("10.1.2.0/24", trust_outcome::direct);
        CHECK(table.decide(peer("10.0.0.8:1")).outcome == trust_outcome::require);
        CHECK(table.decide(peer("10.0.0.9:1")).outcome == trust_outcome::refuse);
        CHECK(table.decide(peer("10.1.2.3:1")).outcome == trust_outcome::direct);
        CHECK(table.decide(peer("10.1.3.3:1")).source == "10.1.0.0/16");
        CHECK(table.decide(peer("203.0.113.7:1")).outcome == trust_outcome::direct);
        CHECK(table.decide(peer("[2001:db8::1]:1")).outcome == trust_outcome::refuse);
    }
}

TEST_CASE("others may be served as themselves", "[proxy_protocol]")
{
    trust_table table{"10.0.0.5"};
    table.others(trust_outcome::direct);
    CHECK(table.decide(peer("203.0.113.7:1")).outcome == trust_outcome::direct);
    CHECK(table.decide(peer("203.0.113.7:1")).source.empty());
    CHECK(table.decide(peer("10.0.0.5:1")).outcome == trust_outcome::require);
}

TEST_CASE("a scope does not hide a trusted peer", "[proxy_protocol]")
{
    const trust_table table{"fe80::/10"};
    CHECK(table.decide(peer("[fe80::1%3]:80")).outcome == trust_outcome::require);
}

TEST_CASE("UNIX peers are known by user and group, not by name", "[proxy_protocol]")
{
    trust_table table{"unix:gid=33", "unix:uid=1000"};
    table.add("unix:uid=1001", trust_outcome::refuse);
    const auto unix_peer = [](u32 uid, u32 gid) {
        return peer_identity{endpoint::unix_unnamed(), uid, gid};
    };
    CHECK(table.decide(unix_peer(1000, 5)).source == "unix:uid=1000");
    CHECK(table.decide(unix_peer(5, 33)).source == "unix:gid=33");
    CHECK(table.decide(unix_peer(1001, 33)).outcome == trust_outcome::refuse);
    CHECK(table.decide(unix_peer(5, 5)).outcome == trust_outcome::refuse);
    CHECK(table.decide(peer("unix:/run/33")).outcome == trust_outcome::refuse);
    // Credentials of something that is no UNIX socket say nothing.
    const peer_identity odd{*endpoint::parse("10.0.0.1:1"), 1000, 33};
    CHECK(table.decide(odd).outcome == trust_outcome::refuse);
}

TEST_CASE("a trust table with a mistake does not start", "[proxy_protocol]")
{
    CHECK(refusal_of({}) == "trust: no source is named");
    CHECK(refusal_of({"10.0.0.1", "10.0.0"}) ==
          R"(trust: "10.0.0": not an IPv4 address (four numbers 0 to 255, no leading zeros))");
    CHECK(refusal_of({"10.0.0.1/8"}) ==
          R"(trust: "10.0.0.1/8": bits set behind the prefix; did you mean 10.0.0.0/8?)");
    CHECK(refusal_of({"unix:/run/proxy.sock"}) ==
          R"(trust: a UNIX peer is named by "unix:uid=N" or "unix:gid=N", not by a path)");
    CHECK(refusal_of({"unix:uid=root"}) == R"(trust: unix:uid "root": must be a whole number)");
    CHECK(refusal_of({"unix:gid=4294967296"}) ==
          R"(trust: unix:gid "4294967296": must be at most 4294967295)");
    CHECK(refusal_of({"10.0.0.0/8", "::ffff:10.0.0.0/104"}) == "trust: 10.0.0.0/8 is named twice");
    const std::vector<std::string> none;
    CHECK_THROWS_AS(trust_table(std::span{none}), std::invalid_argument);
    STATIC_REQUIRE_FALSE(std::is_default_constructible_v<trust_table>);
}

TEST_CASE("a trust table is written in place among options", "[proxy_protocol]")
{
    struct accept_options {
        trust_table trust;
        int other = 0;
    };
    const accept_options options{.trust = {"10.0.0.5", "10.0.0.6"}};
    CHECK(options.trust.decide(peer("10.0.0.6:1")).outcome == trust_outcome::require);
    CHECK(options.trust.decide(peer("10.0.0.7:1")).outcome == trust_outcome::refuse);
}

TEST_CASE("a trust table is built from configuration", "[proxy_protocol]")
{
    const std::vector<std::string> sources{"10.0.0.5", "unix:uid=7"};
    const trust_table table{std::span{sources}};
    CHECK(table.decide(peer("10.0.0.5:1")).outcome == trust_outcome::require);
    CHECK(to_string(trust_outcome::require) == "require");
    CHECK(to_string(trust_outcome::refuse) == "refuse");
    CHECK(to_string(trust_outcome::direct) == "direct");
}

TEST_CASE("a decision numbers the entry that made it", "[proxy_protocol]")
{
    trust_table table{"10.0.0.0/8", "10.0.0.5"};
    table.add("10.0.0.6", trust_outcome::refuse).others(trust_outcome::direct);
    REQUIRE(table.size() == 3);
    for (const std::string_view text : {"10.0.0.5:1", "10.0.0.6:1", "10.1.1.1:1"}) {
        const trust_decision decision = table.decide(peer(text));
        CHECK(decision.entry < table.size());
        CHECK(table.entry_at(decision.entry) == decision.source);
    }
    CHECK(table.decide(peer("10.0.0.5:1")).entry != table.decide(peer("10.0.0.6:1")).entry);
    CHECK(table.decide(peer("192.0.2.1:1")).entry == table.size());
    CHECK(table.entry_at(table.size()) == "others");
}

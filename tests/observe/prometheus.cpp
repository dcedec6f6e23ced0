#include <whence/observe/prometheus.hpp>

#include "support/process.hpp"
#include "support/run_server.hpp"

#include <whence/middleware/accept_header.hpp>
#include <whence/middleware/pipeline.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fstream>
#include <set>
#include <sstream>

using namespace whence;
using support::run_here;

namespace {

constexpr u64 bounds[] = {1'000'000, 2'500'000'000};

constexpr metric calls{.name = "app_calls_total", .labels = "who", .meaning = "Calls."};
constexpr metric level{
    .name = "app_level", .labels = "", .meaning = "A level.", .type = metric_type::gauge};
constexpr metric oldest{.name = "app_oldest_seconds",
                        .labels = "",
                        .meaning = "The oldest.",
                        .type = metric_type::gauge,
                        .unit = metric_unit::time,
                        .merge = metric_merge::smallest};
constexpr metric spread{.name = "app_spread_total",
                        .labels = "runtime",
                        .meaning = "Spread.",
                        .merge = metric_merge::per_runtime};
constexpr metric durations{.name = "app_duration_seconds",
                           .labels = "who",
                           .meaning = "Durations.",
                           .type = metric_type::histogram,
                           .unit = metric_unit::time};

/// Counts what one of several runtimes counts.
class app_metrics final : public metric_block {
public:
    explicit app_metrics(std::string who, i64 scale) : who_(std::move(who)), scale_(scale)
    {
        for (const u64 value : {1'000'000ull, 1'000'001ull, 9'000'000'000ull})
            spent_.observe(value);
    }
    void read(metric_reader& to) const override
    {
        to.number(calls, {{"who", who_}}, 3 * scale_);
        to.number(level, {}, -scale_);
        to.number(oldest, {}, 1'500'000'000 * scale_);
        to.number(spread, {}, scale_);
        to.histogram(durations, {{"who", who_}}, spent_.values());
    }

private:
    std::string who_;
    i64 scale_;
    histogram spent_{bounds};
};

std::string only_of(const std::string& prefix, const std::string& text)
{
    std::string kept;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);) {
        if (line.find(prefix) != line.npos)
            kept += line + '\n';
    }
    return kept;
}

std::string text_of_two(const std::string& first, const std::string& second)
{
    runtime_metrics one{0s, "asio"};
    runtime_metrics two{0s, "asio"};
    one.add(std::make_unique<app_metrics>(first, 1));
    two.add(std::make_unique<app_metrics>(second, 10));
    const runtime_metrics* const both[] = {&one, &two};
    return only_of("app_", prometheus_text(both));
}

}  // namespace

TEST_CASE("runtimes are summed, unless a metric is told by runtime", "[observe]")
{
    CHECK(text_of_two("me", "me") ==
          R"(# HELP app_calls_total Calls.
# TYPE app_calls_total counter
app_calls_total{who="me"} 33
# HELP app_level A level.
# TYPE app_level gauge
app_level -11
# HELP app_oldest_seconds The oldest.
# TYPE app_oldest_seconds gauge
app_oldest_seconds 1.5
# HELP app_spread_total Spread.
# TYPE app_spread_total counter
app_spread_total{runtime="0"} 1
app_spread_total{runtime="1"} 10
# HELP app_duration_seconds Durations.
# TYPE app_duration_seconds histogram
app_duration_seconds_bucket{who="me",le="0.001"} 2
app_duration_seconds_bucket{who="me",le="2.5"} 4
app_duration_seconds_bucket{who="me",le="+Inf"} 6
app_duration_seconds_sum{who="me"} 18.004000002
app_duration_seconds_count{who="me"} 6
)");
}

TEST_CASE("label values are escaped, and are UTF-8 whatever they held", "[observe]")
{
    const std::string text = text_of_two("a\"b\\c\nd", "z\xff\xc3\xa9");
    CHECK(only_of("calls_total{", text) == "app_calls_total{who=\"a\\\"b\\\\c\\nd\"} 3\n"
                                           "app_calls_total{who=\"z\xef\xbf\xbd\xc3\xa9\"} 30\n");
}

TEST_CASE("metrics are named, explained and labelled as Prometheus has it", "[observe]")
{
    std::set<std::string_view> names;
    for (const metric* each : known_metrics()) {
        CAPTURE(each->name);
        CHECK(names.insert(each->name).second);
        CHECK(each->name.starts_with("whence_"));
        CHECK(each->name.ends_with("_total") == (each->type == metric_type::counter));
        CHECK(each->name.ends_with("_seconds") == (each->unit == metric_unit::time));
        CHECK(each->meaning.ends_with('.'));
        CHECK(each->meaning.find_first_of("\n\\|") == each->meaning.npos);
        CHECK((each->labels.find("runtime") != each->labels.npos) ==
              (each->merge == metric_merge::per_runtime));
    }
}

TEST_CASE("docs/metrics.md lists every metric, and no other", "[observe]")
{
    std::ifstream file{WHENCE_TEST_DATA "/../../docs/metrics.md"};
    std::string rows;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("| `whence_"))
            rows += line + '\n';
    }
    std::string expected;
    constexpr std::string_view types[] = {"counter", "gauge", "histogram"};
    for (const metric* each : known_metrics()) {
        expected += "| `" + std::string{each->name} + "` | ";
        expected += types[static_cast<std::size_t>(each->type)];
        expected += " | " + std::string{each->labels.empty() ? "" : each->labels};
        expected += each->labels.empty() ? "| " : " | ";
        expected += std::string{each->meaning} + " |\n";
    }
    CHECK(rows == expected);
}

TEST_CASE("promtool finds nothing to object to", "[observe]")
{
    std::string text;
    run_here([&text]() -> task<> {
        auto app = pipeline(proxy_protocol::accept({.trust = {"127.0.0.1"}}),
                            [](connection& conn) -> task<> {
                                const chunk got = co_await conn.receive();
                                co_await conn.write(got);
                            });
        co_await support::with_server(app, [&text](endpoint address) -> task<> {
            co_await support::ask(address, "PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\nhi");
            co_await support::ask(address, "no header");
            co_await support::ask(address, "");
            co_await support::settle();
            const runtime_metrics* const here[] = {&runtime::current().metrics()};
            text = prometheus_text(here);
        });
    });
    CHECK(text.find(R"(header="v1",origin="proxied"} 1)") != text.npos);
    CHECK(text.find(R"(reason="malformed"} 1)") != text.npos);
    CHECK(text.find(R"(reason="closed"} 1)") != text.npos);
    CHECK(text.find(R"(rule="127.0.0.1/32"} 3)") != text.npos);
    support::process promtool{{support::find_program("promtool", "prometheus"), "check", "metrics"},
                              {.input = text}};
    CHECK(promtool.wait_for_exit() == 0);
    CHECK(promtool.errors_text() == "");
}

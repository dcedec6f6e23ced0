#include <whence/net/server_metrics.hpp>

#include "support/run_server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <stdexcept>
#include <string>

using namespace whence;
using support::ask;
using support::echo;
using support::run_here;
using support::with_server;

namespace {

/// Keeps the values by metric and labels, "name{label=value,...}"; `listener` is left out.
class values final : public metric_reader {
public:
    explicit values(const runtime_metrics& from) { from.read(*this); }

    i64 operator[](const std::string& which) const
    {
        const auto found = numbers_.find(which);
        return found == numbers_.end() ? 0 : found->second;
    }

private:
    static std::string key(const metric& which, metric_labels labels)
    {
        std::string text;
        for (const metric_label& label : labels) {
            if (label.name != "listener")
                text += (text.empty() ? "" : ",") + std::string{label.name} + "=" +
                        std::string{label.value};
        }
        return std::string{which.name} + "{" + text + "}";
    }
    void number(const metric& which, metric_labels labels, i64 value) override
    {
        numbers_[key(which, labels)] += value;
    }
    void histogram(const metric& which, metric_labels labels, const histogram_values& held) override
    {
        numbers_[key(which, labels)] += static_cast<i64>(held.count());
    }

    std::map<std::string, i64> numbers_;
};

values now_counted()
{
    return values{runtime::current().metrics()};
}

/// Refuses whoever sends "r", leaves "q" quietly and throws at "t".
class picky final : public application {
public:
    std::span<const gate_reference> gates() const noexcept override { return gate_; }
    task<> session(connection& conn) const override
    {
        const chunk got = co_await conn.receive();
        if (got.text() == "fail")
            throw std::runtime_error("the handler's own");
        if (got.text() == "idle")
            throw refused{verdict::refuse("idle")};
        if (got.text() == "reset")
            throw std::system_error(std::make_error_code(std::errc::connection_reset));
        co_await conn.write(got);
    }

private:
    static task<verdict> judge(const void*, connection& conn)
    {
        const const_bytes first = co_await conn.peek(1);
        const char letter = first.empty() ? 'q' : static_cast<char>(first[0]);
        if (letter == 't')
            throw std::runtime_error("the gate's own");
        if (letter == 'x')
            co_return verdict::refuse("no_x");
        if (letter == 'q')
            co_return verdict::refuse_quietly("closed");
        co_return verdict::pass();
    }
    std::array<gate_reference, 1> gate_{{{&judge, nullptr}}};
};

}  // namespace

TEST_CASE("what becomes of a connection is counted under its own name", "[net]")
{
    run_here([]() -> task<> {
        co_await with_server(
            std::unique_ptr<const application>{std::make_unique<const picky>()},
            [](endpoint address) -> task<> {
                for (const char* text :
                     {"good", "good", "fail", "idle", "reset", "x", "quiet", "throw"})
                    co_await ask(address, text);
                connection pending = co_await connect(address);
                connection open = co_await connect(address);
                co_await open.write("g");
                co_await support::settle();
                const values here = now_counted();
                CHECK(here["whence_connections_accepted_total{}"] == 10);
                CHECK(here["whence_handshakes_pending{}"] == 1);
                CHECK(here["whence_handshake_duration_seconds{}"] == 9);
                CHECK(here["whence_connections_refused_total{reason=no_x}"] == 1);
                CHECK(here["whence_connections_left_total{reason=closed}"] == 1);
                CHECK(here["whence_connections_left_total{reason=failed}"] == 1);
                CHECK(here["whence_sessions_started_total{header=none,origin=direct}"] == 6);
                CHECK(here["whence_sessions_ended_total{outcome=closed}"] == 3);
                CHECK(here["whence_sessions_ended_total{outcome=failed}"] == 1);
                CHECK(here["whence_sessions_ended_total{outcome=idle}"] == 1);
                CHECK(here["whence_sessions_ended_total{outcome=reset}"] == 1);
                CHECK(here["whence_sessions_open{}"] == 0);
                CHECK(here["whence_session_duration_seconds{}"] == 6);
            });
    });
}

TEST_CASE("a session that is open is counted as open until it ends", "[net]")
{
    run_here([]() -> task<> {
        co_await with_server(echo,
                             [](endpoint address) -> task<> {
                                 connection open = co_await connect(address);
                                 co_await open.write("x");
                                 co_await open.receive();
                                 CHECK(now_counted()["whence_sessions_open{}"] == 1);
                                 runtime::current().root().spawn([](connection held) -> task<> {
                                     co_await held.receive();
                                 }(std::move(open)));
                             },
                             {.drain_time_max = 10ms});
        CHECK(now_counted()["whence_sessions_open{}"] == 0);
        CHECK(now_counted()["whence_sessions_ended_total{outcome=cancelled}"] == 1);
    });
}

TEST_CASE("connections beyond handshakes_max are counted as refused", "[net]")
{
    run_here([]() -> task<> {
        co_await with_server(std::unique_ptr<const application>{std::make_unique<const picky>()},
                             [](endpoint address) -> task<> {
                                 connection first = co_await connect(address);
                                 co_await support::settle();
                                 connection second = co_await connect(address);
                                 co_await support::settle();
                             },
                             {.handshakes_max = 1});
        const values here = now_counted();
        CHECK(here["whence_connections_refused_total{reason=too_many_handshakes}"] == 1);
        CHECK(here["whence_handshakes_pending{}"] == 0);
        CHECK(here["whence_handshake_duration_seconds{}"] == 2);
    });
}

TEST_CASE("a listener has its counters for as long as the runtime", "[net]")
{
    run_here([]() -> task<> {
        runtime_metrics& here = runtime::current().metrics();
        server_metrics& first = server_metrics::of(here, *endpoint::parse("127.0.0.1:1"));
        server_metrics& second = server_metrics::of(here, *endpoint::parse("127.0.0.1:2"));
        CHECK(&first != &second);
        CHECK(first.listener() == "127.0.0.1:1");
        CHECK(&server_metrics::of(here, *endpoint::parse("127.0.0.1:1")) == &first);
        server_metrics* last = nullptr;
        for (u16 port = 3; port < 100; ++port)
            last = &server_metrics::of(here, endpoint{*ip_address::parse("127.0.0.1"), port});
        CHECK(last->listener() == "other");
        CHECK(&server_metrics::of(here, *endpoint::parse("127.0.0.1:1")) == &first);
        co_return;
    });
}

TEST_CASE("failed accepts are counted by errno, decisions by outcome and rule", "[net]")
{
    run_here([]() -> task<> {
        runtime_metrics& here = runtime::current().metrics();
        server_metrics& counted = server_metrics::of(here, *endpoint::parse("127.0.0.1:1"));
        counted.accept_failed(std::make_error_code(std::errc::too_many_files_open));
        counted.gone_before_accept();
        counted.trust_decided("require", "10.0.0.0/8");
        counted.trust_decided("refuse", "");
        const values told{here};
        CHECK(told["whence_accept_errors_total{error=EMFILE}"] == 1);
        CHECK(told["whence_connections_left_total{reason=before_accept}"] == 1);
        CHECK(told["whence_trust_outcomes_total{outcome=require}"] == 1);
        CHECK(told["whence_trust_rules_total{rule=10.0.0.0/8}"] == 1);
        CHECK(told["whence_trust_rules_total{rule=none}"] == 1);
        co_return;
    });
}

TEST_CASE("the task dump says for whom a session waits", "[net]")
{
    run_here([]() -> task<> {
        auto hold = [](connection& conn) -> task<> { co_await conn.receive(); };
        co_await with_server(hold, [](endpoint address) -> task<> {
            connection open = co_await connect(address);
            co_await support::settle();
            const std::string text = runtime::current().dump_tasks();
            const std::string local = to_string(open.local());
            CHECK(text.find("\"client\":\"" + local + "\",\"peer\":\"" + local + "\",\"local\":\"" +
                            to_string(address) + "\",\"listener\":\"" + to_string(address) + '"') !=
                  text.npos);
            CHECK(text.find("/sessions\"") != text.npos);
        });
    });
}

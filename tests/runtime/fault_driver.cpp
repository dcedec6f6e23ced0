#include <whence/runtime/fault_driver.hpp>

#include "support/run_here.hpp"

#include <whence/coro/yield.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <string>

using namespace whence;

namespace {

/// Sends "hello" over a pair and tells what a receive got, under a fault at its own operation.
std::string receive_under(fault planned)
{
    std::string got;
    auto io = std::make_unique<fault_driver>(support::open_test_driver(), planned);
    runtime here{std::move(io)};
    const support::watchdog bounded{here};
    here.run([](std::string& text) -> task<> {
        auto pair = co_await support::connect_pair();
        co_await pair.client.write("hello");
        auto receiving = as_result(pair.server.receive());
        const result<chunk> received = co_await receiving;
        text = received ? std::string{received->text()} : received.error().message();
    }(got));
    return got;
}

// connect, accept and write come before it.
constexpr u64 the_receive = 4;

}  // namespace

TEST_CASE("a fault meets the operation it is planned for, and no other", "[runtime]")
{
    using enum fault::kind;
    CHECK(receive_under({}) == "hello");
    CHECK(receive_under({.at = the_receive, .what = fail, .error = ECONNRESET}) ==
          "Connection reset by peer");
    CHECK(receive_under({.at = the_receive, .what = cut}) == "h");
    CHECK(receive_under({.at = the_receive, .what = late}) == "hello");
    CHECK(receive_under({.at = the_receive + 1, .what = fail}) == "hello");
}

TEST_CASE("an operation that is held back can be cancelled", "[runtime]")
{
    for (const fault::kind what : {fault::kind::late, fault::kind::fail}) {
        auto io = std::make_unique<fault_driver>(support::open_test_driver(),
                                                 fault{.at = the_receive, .what = what});
        runtime here{std::move(io)};
        const support::watchdog bounded{here};
        here.run([]() -> task<> {
            auto pair = co_await support::connect_pair();
            co_await pair.client.write("hello");
            scope receiver;
            receiver.spawn([](connection& from) -> task<> {
                auto receiving = as_result(from.receive());
                const result<chunk> none = co_await receiving;
                REQUIRE_FALSE(none.has_value());
                CHECK(none.error() == std::errc::operation_canceled);
            }(pair.server));
            co_await yield{};
            receiver.stop();
            co_await receiver.join();
            const chunk got = co_await pair.server.receive();
            CHECK(got.text() == "hello");
        }());
    }
}

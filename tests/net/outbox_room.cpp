#include <whence/net/outbox.hpp>

#include "support/aborts.hpp"
#include "support/run_server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <set>
#include <string>
#include <vector>

using namespace whence;
using support::abort_message_of;
using support::connect_pair;
using support::run_here;
using support::settle;

namespace {

// The program of outbox.hpp.
class seat {
public:
    seat(std::set<outbox*>& room, outbox& own) : room_(room), own_(own) { room.insert(&own); }
    ~seat() { room_.erase(&own_); }
    seat(const seat&) = delete;
    seat& operator=(const seat&) = delete;

private:
    std::set<outbox*>& room_;
    outbox& own_;
};

task<> talk(connection& conn, std::set<outbox*>& room, outbox& own)
{
    const seat here{room, own};
    while (auto said = co_await conn.receive())
        for (outbox* each : room)
            each->try_push(said.text());
}

task<> chat(connection& conn)
{
    static std::set<outbox*> room;
    auto body = [&conn](outbox& own) { return talk(conn, room, own); };
    co_await with_outbox(conn, {.when_full = outbox_policy::disconnect}, body);
}

}  // namespace

TEST_CASE("a room: everybody hears what one says, also when another does not read", "[outbox]")
{
    run_here([]() -> task<> {
        co_await support::with_server(chat, [](endpoint address) -> task<> {
            connection first = co_await connect(address);
            connection second = co_await connect(address);
            connection deaf = co_await connect(address);
            co_await settle();
            const std::string text(50'000, '!');
            std::vector<std::byte> heard(text.size());
            for (int i = 0; i < 300; ++i) {
                co_await first.write(text);
                for (connection* each : {&first, &second})
                    co_await each->read_exact(heard);
            }
            std::error_code end;
            while (!end) {
                auto receiving = as_result(deaf.receive());
                const result<chunk> part = co_await receiving;
                if (!part)
                    end = part.error();
                else
                    REQUIRE(*part);
            }
            CHECK(end == std::errc::connection_reset);
            first.close();
            second.close();
        });
    });
}

TEST_CASE("misuse of an outbox is named", "[outbox]")
{
    const auto message_of = [](auto misuse) {
        return abort_message_of([&misuse] {
            runtime here{support::open_test_driver()};
            here.run(misuse());
        });
    };
    const std::string twice = message_of([]() -> task<> {
        auto pair = co_await connect_pair();
        outbox out{pair.server};
        co_await when_all(out.run(), out.run());
    });
    CHECK(twice.find("an outbox has one writer, once") != twice.npos);

    const std::string early = message_of([]() -> task<> {
        auto pair = co_await connect_pair();
        scope writer;
        outbox out{pair.server};
        writer.spawn(out.run());
        co_await settle();
    });
    CHECK(early.find("an outbox is destroyed when its run() has ended") != early.npos);

    const std::string nothing = message_of([]() -> task<> {
        auto pair = co_await connect_pair();
        const outbox out{pair.server, {.bytes_max = 0}};
    });
    CHECK(nothing.find("an outbox holds from 1 byte to 1 GiB") != nothing.npos);

    const std::string none = message_of([]() -> task<> {
        auto pair = co_await connect_pair();
        const outbox out{pair.server, {.messages_max = 0}};
    });
    CHECK(none.find("an outbox holds one message at least") != none.npos);
}

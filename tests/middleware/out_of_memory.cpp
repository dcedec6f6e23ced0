#include <whence/middleware/client_table.hpp>

#include "support/run_here.hpp"
#include "support/scarce_memory.hpp"

#include <whence/middleware/limits.hpp>

#include <catch2/catch_test_macros.hpp>

#include <new>

using namespace whence;
using support::connect_pair;
using support::fuse;
using support::run_here;

namespace {

enum class outcome { passed, refused, threw };

/// Asks a gate about a connection while the k-th allocation fails.
template <class Gate>
task<outcome> ask_without_memory(const Gate& gate, connection& conn, std::size_t k, bool& blown)
{
    outcome ended = outcome::threw;
    const fuse lit{k};
    try {
        const verdict answer = co_await gate(conn);
        ended = answer.passed() ? outcome::passed : outcome::refused;
    } catch (const std::bad_alloc&) {
    }
    blown = fuse::blown();
    co_return ended;
}

}  // namespace

TEST_CASE("without memory a connection is not counted, by any limit", "[middleware]")
{
    std::size_t failures = 0;
    bool blown = true;
    for (std::size_t k = 1; blown; ++k)
        run_here([&]() -> task<> {
            const limits all{{.connections_max = 1}};
            const client_limits each{{.connections_per_client_max = 1, .clients_max = 1}};
            auto pair = co_await connect_pair();
            const outcome of_all = co_await ask_without_memory(all, pair.server, k, blown);
            CHECK(all.connections() == (of_all == outcome::passed ? 1 : 0));
            bool blown_too = false;
            const outcome of_each = co_await ask_without_memory(each, pair.server, k, blown_too);
            CHECK(each.clients() == (of_each == outcome::passed ? 1 : 0));
            CHECK(of_each != outcome::refused);
            failures += of_each == outcome::threw ? 1 : 0;
            blown = blown || blown_too;
            pair.server.close();
            CHECK(all.connections() == 0);
            CHECK(each.clients() == 0);
            // The one place there is can be taken, so none was lost.
            auto next = co_await connect_pair();
            const verdict again = co_await each(next.server);
            CHECK(again.passed());
        });
    CHECK(failures >= 2);  // the guest's and the entry's
}

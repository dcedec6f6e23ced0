#include <whence/runtime/driver.hpp>

#include <whence/coro/strand.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

using namespace whence;

namespace {

/// Is one operation without a coroutine, and what came of it.
struct probe : operation {
    probe(verb wanted, int on, std::string_view bytes = {}, u64 at = ~u64{0})
    {
        what = wanted;
        fd = on;
        data = const_cast<char*>(bytes.data());
        size = static_cast<u32>(bytes.size());
        offset = wanted == verb::send ? 0 : at;
        done = [](operation& op) noexcept { ++static_cast<probe&>(op).completions; };
    }

    int completions = 0;
};

struct ends {
    explicit ends(bool sockets)
    {
        REQUIRE((sockets ? socketpair(AF_UNIX, SOCK_STREAM, 0, fd.data()) : pipe(fd.data())) == 0);
    }
    ~ends()
    {
        for (const int each : fd)
            close(each);
    }
    bool blocks(std::size_t which) const
    {
        return (fcntl(fd.at(which), F_GETFL) & O_NONBLOCK) == 0;
    }

    std::array<int, 2> fd{};
};

void turn_until_done(driver& io, const probe& op)
{
    for (int turn = 0; turn < 1'000 && op.completions == 0; ++turn)
        io.wait(10ms);
    REQUIRE(op.completions == 1);
}

}  // namespace

TEST_CASE("nothing completes in submit or cancel", "[runtime]")
{
    const auto io = open_asio_driver();
    const ends pair{true};
    probe sending{verb::send, pair.fd[0], "x"};
    probe nothing{verb::nothing, -1};
    std::array<char, 4> bytes{};
    probe receiving{verb::recv, pair.fd[0], {bytes.data(), bytes.size()}};
    for (probe* each : {&sending, &nothing, &receiving})
        submit(*each, *io);
    cancel(receiving);
    CHECK(sending.completions + nothing.completions + receiving.completions == 0);
    io->wait(nanoseconds::zero());
    CHECK(sending.result == 1);
    CHECK(nothing.result == 0);
    CHECK(receiving.result == -ECANCELED);
    CHECK(io->metrics().completions.value() == 3);
    io->close(dup(pair.fd[0]));
}

TEST_CASE("a cancelled send tells how much has gone", "[runtime]")
{
    const auto io = open_asio_driver();
    const ends pair{true};
    const std::string much(8 << 20, 'x');
    probe sending{verb::send, pair.fd[0], much};
    submit(sending, *io);
    for (int turn = 0; turn < 100; ++turn)
        io->wait(nanoseconds::zero());
    CHECK(sending.completions == 0);
    CHECK(sending.offset > 0);
    const u64 moved = sending.offset;
    cancel(sending);
    turn_until_done(*io, sending);
    CHECK(sending.result == static_cast<int>(moved));
}

TEST_CASE("a full pipe holds nobody up, and keeps its mode", "[runtime]")
{
    const auto io = open_asio_driver();
    const ends log{false};
    const std::string much(1 << 20, 'x');
    probe first{verb::write, log.fd[1], much};
    submit(first, *io);
    turn_until_done(*io, first);
    CHECK(first.result > 0);
    CHECK(first.result < static_cast<int>(much.size()));
    probe second{verb::write, log.fd[1], "line"};
    submit(second, *io);
    for (int turn = 0; turn < 10; ++turn)
        io->wait(1ms);
    CHECK(second.completions == 0);
    CHECK(log.blocks(1));
    std::string drained(static_cast<std::size_t>(first.result), '\0');
    REQUIRE(read(log.fd[0], drained.data(), drained.size()) == first.result);
    turn_until_done(*io, second);
    CHECK(second.result == 4);
    CHECK(log.blocks(1));

    probe reading{verb::read, log.fd[0], {drained.data(), 4}};
    submit(reading, *io);
    turn_until_done(*io, reading);
    CHECK(drained.starts_with("line"));
    CHECK(log.blocks(0));
    probe again{verb::read, log.fd[0], {drained.data(), 4}};
    submit(again, *io);
    io->wait(nanoseconds::zero());
    cancel(again);
    turn_until_done(*io, again);
    CHECK(again.result == -ECANCELED);
}

TEST_CASE("files, terminals and /dev/null are written at once", "[runtime]")
{
    const auto io = open_asio_driver();
    const int file = memfd_create("log", MFD_CLOEXEC);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    REQUIRE(grantpt(terminal) == 0);
    REQUIRE(unlockpt(terminal) == 0);
    const int screen = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    for (const int fd : {file, nowhere, screen}) {
        REQUIRE(fd >= 0);
        probe writing{verb::write, fd, "line\n"};
        submit(writing, *io);
        turn_until_done(*io, writing);
        CHECK(writing.result == 5);
        CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
    }
    std::array<char, 4> bytes{};
    probe reading{verb::read, file, {bytes.data(), bytes.size()}, 1};
    submit(reading, *io);
    turn_until_done(*io, reading);
    CHECK(std::string_view{bytes.data(), 4} == "ine\n");

    // A stopped terminal takes some, and then holds nobody up.
    const std::string much(1 << 20, 'x');
    probe flood{verb::write, screen, much};
    int written = 0;
    do {
        flood.completions = 0;
        submit(flood, *io);
        io->wait(1ms);
        written += flood.completions;
    } while (flood.completions == 1 && written < 1'000);
    CHECK(flood.completions == 0);
    cancel(flood);
    turn_until_done(*io, flood);
    for (const int fd : {file, nowhere, screen, terminal})
        close(fd);
}

TEST_CASE("errors of files are told", "[runtime]")
{
    const auto io = open_asio_driver();
    const ends log{false};
    probe wrong_end{verb::write, log.fd[0], "x"};
    probe closed{verb::write, 1'000'000, "x"};
    for (probe* each : {&wrong_end, &closed}) {
        submit(*each, *io);
        turn_until_done(*io, *each);
        CHECK(each->result == -EBADF);
    }
}

TEST_CASE("a wake-up from another thread ends a wait, one before it as well", "[runtime]")
{
    const auto io = open_asio_driver();
    for (int round = 0; round < 100; ++round) {
        std::thread other{[&io] { io->wake(); }};
        io->wait(nanoseconds::max());
        other.join();
    }
}

TEST_CASE("a driver that ends completes what is in flight, and closes nothing of others",
          "[runtime]")
{
    const ends pair{true};
    const ends log{false};
    std::array<char, 4> bytes{};
    probe receiving{verb::recv, pair.fd[0], {bytes.data(), bytes.size()}};
    probe reading{verb::read, log.fd[0], {bytes.data(), bytes.size()}};
    probe fresh{verb::nothing, -1};
    {
        const auto io = open_asio_driver();
        submit(receiving, *io);
        submit(reading, *io);
        io->wait(nanoseconds::zero());
        submit(fresh, *io);
    }
    for (const probe* each : {&receiving, &reading, &fresh}) {
        CHECK(each->completions == 1);
        CHECK(each->result == -ECANCELED);
        CHECK(each->state == operation_state::idle);
    }
    CHECK(fcntl(pair.fd[0], F_GETFD) >= 0);
}

TEST_CASE("a descriptor's number may come again at once", "[runtime]")
{
    const auto io = open_asio_driver();
    std::array<char, 4> bytes{};
    for (int round = 0; round < 100; ++round) {
        std::array<int, 2> fd{};
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fd.data()) == 0);
        probe receiving{verb::recv, fd[0], {bytes.data(), bytes.size()}};
        submit(receiving, *io);
        io->wait(nanoseconds::zero());
        if (round % 2 == 0) {
            REQUIRE(write(fd[1], "abc", 3) == 3);
        } else {
            cancel(receiving);
        }
        turn_until_done(*io, receiving);
        CHECK(receiving.result == (round % 2 == 0 ? 3 : -ECANCELED));
        io->close(fd[0]);
        io->close(fd[1]);
    }
}

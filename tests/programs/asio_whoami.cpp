#include "programs/whoami_server.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <csignal>

using namespace support;

TEST_CASE("an Asio server refuses whom it does not trust, and what is no header",
          "[programs][asio]")
{
    whoami_server server{{"--trust", "127.0.0.1"}, {}, WHENCE_ASIO_WHOAMI};
    client stranger{server.address(), {.source = "127.0.0.2"}};
    const std::string stranger_name = stranger.local();
    stranger.send(good_header);
    CHECK(stranger.read_to_end().refused());
    CHECK(server.refusal_of(stranger_name) == "untrusted");

    client speaks_http{server.address()};
    const std::string name = speaks_http.local();
    speaks_http.send("GET / HTTP/1.1\r\n\r\n");
    CHECK(speaks_http.read_to_end().refused());
    CHECK(server.refusal_of(name) == "malformed");
}

TEST_CASE("an Asio server takes a header in single bytes, and the payload with it",
          "[programs][asio]")
{
    whoami_server server{trusting(), {}, WHENCE_ASIO_WHOAMI};
    client from{server.address()};
    from.send_one_by_one(std::string{good_header} + "hello");
    from.finish();
    const conversation said = read_conversation(from);
    REQUIRE(said.answer.is_object());
    CHECK(said.answer.at("client") == good_client);
    CHECK(said.echo == "hello");
    server.program().signal(SIGTERM);
    CHECK(server.program().wait_for_exit() == 0);
}

TEST_CASE("asio_whoami says what is wrong with its options", "[programs][asio]")
{
    const std::vector<std::string> wrong =
        GENERATE(std::vector<std::string>{}, std::vector<std::string>{"--trust", "10.0.0.0/33"},
                 std::vector<std::string>{"--trust", "127.0.0.1", "--listen", "nowhere"},
                 std::vector<std::string>{"--trust", "127.0.0.1", "--listen", "unix:/tmp/x"});
    std::vector<std::string> command{WHENCE_ASIO_WHOAMI};
    command.insert(command.end(), wrong.begin(), wrong.end());
    process program{command};
    CHECK(program.wait_for_exit() == 2);
    CHECK_FALSE(program.errors_text().empty());
}

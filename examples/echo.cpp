// echo: the smallest server. Sends back what each client says, until it stops talking.
//
//   build/release/examples/echo 127.0.0.1:7000
//   printf 'hello' | nc -N 127.0.0.1 7000          ->  hello
#include <whence/whence.hpp>

using namespace whence;

task<> echo(connection& conn)
{
    while (auto chunk = co_await conn.receive())
        co_await conn.write(chunk);
}

int main(int, char** arguments)
{
    return run(serve(arguments[1] ? arguments[1] : "127.0.0.1:7000", echo));
}

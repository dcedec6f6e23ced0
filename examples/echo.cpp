// echo: the smallest server. Sends back what each client says, until it stops talking.
//
//   build/release/examples/echo --listen 127.0.0.1:7000
//   printf 'hello' | nc -N 127.0.0.1 7000          ->  hello
#include "common/server_options.hpp"

using namespace whence;

namespace {

task<> echo(connection& conn)
{
    while (auto chunk = co_await conn.receive())
        co_await conn.write(chunk);
}

}  // namespace

int main(int count, char** arguments)
{
    return examples::run_server(count, arguments, "Sends back what each client says.", echo);
}

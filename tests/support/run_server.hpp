#pragma once

#include "run_here.hpp"

#include <whence/coro/deadline.hpp>
#include <whence/net/serve.hpp>

namespace support {

/// Sends back what it receives: a handler.
inline whence::task<> echo(whence::connection& conn)
{
    while (auto got = co_await conn.receive())
        co_await conn.write(got);
}

/// Serves `app` on a free port while `body(address)` runs, then drains: the shape of most tests of
/// servers.
template <class App, class Body>
whence::task<> with_server(App app, Body body, whence::serve_options options = {})
{
    using namespace whence;
    std::vector<listener> listeners;
    listeners.push_back(listener::bind("127.0.0.1:0"));
    const endpoint address = listeners.front().local();
    scope server;
    server.spawn(serve(std::move(listeners), std::move(app), options));
    std::exception_ptr failure;
    try {
        auto running = body(address);
        co_await running;
    } catch (...) {
        failure = std::current_exception();
    }
    runtime::current().drain().set();
    co_await server.join();
    if (failure)
        std::rethrow_exception(failure);
}

/// Sends `text`, half-closes and gives all that comes back; "reset" when the server aborts.
whence::task<std::string> ask(whence::endpoint address, std::string text);

}  // namespace support

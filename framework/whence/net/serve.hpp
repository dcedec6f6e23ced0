#pragma once

#include <whence/net/application.hpp>
#include <whence/net/listener.hpp>

#include <vector>

namespace whence::inline v0 {

/// Says how connections come to the runtimes of a program with several (run's options).
enum class spread : u8 {
    /// One runtime accepts, and hands each connection to the one that has the fewest: for sessions
    /// that last.
    balanced,
    /// Every runtime has a listening socket of its own and the kernel deals the connections out:
    /// for very many short ones. Needs listen_options::reuse_port, with which a second program can
    /// take a share of the port unnoticed; connections that wait in one socket's backlog are reset
    /// when it closes.
    reuse_port,
};

/// Bounds a server. The limits are for all its runtimes together.
struct serve_options {
    /// Connections that have not passed their gates; more are refused. A million of them would need
    /// gigabytes, and each ends at its gate's deadline.
    u32 handshakes_max = 16'384;
    /// How long connections are still accepted once the program is asked to end: the time that a
    /// balancer needs to see that it is not ready any more, and to send nobody here.
    nanoseconds drain_delay = nanoseconds::zero();
    /// How long sessions may go on after that.
    nanoseconds drain_time_max = 5s;
    whence::spread spread = spread::balanced;
};

/// Serves connections until the runtime drains, and drain_delay longer: accepts, leads each through
/// the gates, runs its session in a strand of its own. Then stops accepting, closes those that are
/// still at a gate, lets the sessions finish up to drain_time_max, and cancels the rest. shape:
/// owns listeners and application until the last session has been joined. In all runtimes of the
/// group: layers and handler are shared by its threads. A connection stays in its runtime. errors:
/// what a session throws closes that connection, is logged, and disturbs nothing else.
task<> serve(std::vector<listener> listeners, std::unique_ptr<const application> app,
             serve_options options = {});

/// The same for any application: a handler, or what `pipeline` makes.
template <servable App>
task<> serve(std::vector<listener> listeners, App app, serve_options options = {})
{
    return serve(std::move(listeners), make_application(std::move(app)), options);
}

/// Serves `app` at one address, such as "[::]:7000".
/// errors: std::system_error when the address cannot be had, std::invalid_argument when it is none;
/// when the task is awaited.
template <servable App>
task<> serve(std::string address, App app, serve_options options = {})
{
    std::vector<listener> listeners;
    listen_options how;
    how.reuse_port = options.spread == spread::reuse_port;
    listeners.push_back(listener::bind(address, how));
    auto serving = serve(std::move(listeners), make_application(std::move(app)), options);
    co_await serving;
}

}  // namespace whence::inline v0

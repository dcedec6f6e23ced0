#include "observe_options.hpp"

#include "parsed_option.hpp"

#include <whence/runtime/json_line.hpp>

#include <cstdio>

namespace examples {

using namespace whence;

void add_observe_options(CLI::App& app, observe_options& into)
{
    add_parsed(app, "--metrics", into.metrics, endpoint::parse,
               "Address at which /metrics, /healthz and /readyz are served, to everybody who "
               "reaches it: 127.0.0.1:9100, unix:/run/whence/metrics; none unless given")
        ->type_name("ADDRESS");
}

task<> with_status_endpoint(observe_options options, task<> work)
{
    if (!options.metrics) {
        co_await work;
        co_return;
    }
    listener at = listener::bind(*options.metrics);
    const std::string line = json_line("metrics").add("address", at.local()).text();
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
    scope watched;
    watched.spawn(serve_status(std::move(at)), "status_endpoint");
    std::exception_ptr failure;
    try {
        co_await work;
    } catch (...) {
        failure = std::current_exception();
    }
    watched.stop();
    co_await watched.join();
    if (failure)
        std::rethrow_exception(failure);
}

}  // namespace examples

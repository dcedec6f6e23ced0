#include <whence/whence.hpp>

#include <cstdio>

using namespace whence;

namespace {

struct whoami {
    task<> operator()(connection& conn) const
    {
        const std::string client = to_string(conn.client()) + "\n";
        std::printf("client %s", client.c_str());
        co_await conn.write(client);
    }
};

}  // namespace

int main()
{
    std::vector<listener> listeners;
    listeners.push_back(listener::bind("127.0.0.1:0"));
    std::printf("%s\n", to_string(listeners.front().local()).c_str());
    std::fflush(stdout);
    auto app = pipeline(proxy_protocol::accept({.trust = {"127.0.0.1"}}), access_log{}, whoami{});
    return run(serve(std::move(listeners), std::move(app)));
}

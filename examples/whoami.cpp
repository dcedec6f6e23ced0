// whoami: answers each client with one JSON line that tells whom the server takes it for, then
// sends back every byte until the client stops talking.
//
//   build/release/examples/whoami --listen 127.0.0.1:7000 --trust 127.0.0.1
//   printf 'PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\nhello' | nc -N 127.0.0.1 7000
//       ->  {"client":"203.0.113.7:4242","server":"198.51.100.1:443","peer":"127.0.0.1:40112",...}
//           hello
#include "common/server_options.hpp"

#include <whence/base/text.hpp>

using namespace whence;

namespace {

std::string tlvs_text(proxy_protocol::tlv_range tlvs)
{
    std::string list;
    for (const proxy_protocol::tlv entry : tlvs) {
        list += list.empty() ? "[" : ",";
        list += json_object{}
                    .add("type", static_cast<u64>(entry.type))
                    .add("name", proxy_protocol::tlv_name(entry.type))
                    .add("hex", hex_text(entry.value))
                    .text();
    }
    return list.empty() ? "[]" : list + ']';
}

std::string introduce(const connection& conn)
{
    json_object facts;
    facts.add("client", conn.client())
        .add("server", conn.server())
        .add("peer", conn.peer())
        .add("local", conn.local())
        .add("origin", to_string(conn.origin()));
    if (const auto header = conn.header()) {
        facts.add("version", u64{header->version()})
            .add("command", to_string(header->command()))
            .add("family", to_string(header->family()))
            .add("transport", to_string(header->transport()))
            .add_json("tlvs", tlvs_text(header->tlvs()));
    } else {
        facts.add_json("version", "null")
            .add_json("command", "null")
            .add_json("family", "null")
            .add_json("transport", "null")
            .add_json("tlvs", "[]");
    }
    return facts.text() + '\n';
}

/// Has a frame of its own, so that the answer does not stay as long as the session.
task<> answer(connection& conn)
{
    const std::string line = introduce(conn);
    co_await conn.write(line);
}

task<> whoami(connection& conn)
{
    co_await answer(conn);
    while (auto chunk = co_await conn.receive())
        co_await conn.write(chunk);
}

}  // namespace

int main(int count, char** arguments)
{
    return examples::run_server(count, arguments,
                                "Tells each client where it comes from, then echoes.", whoami);
}

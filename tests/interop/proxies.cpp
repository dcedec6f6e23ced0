#include "interop/proxies.hpp"

#include <sstream>
#include <stdexcept>

#include <sched.h>
#include <unistd.h>

namespace support {

namespace {

using steady = std::chrono::steady_clock;

const char* const haproxy_configuration = R"(global
    stats socket unix@{folder}/stats level operator
defaults
    mode tcp
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend front
    bind fd@{fd} {bind_words}
{frontend_lines}    default_backend back
backend back
{backend_lines}    server whoami {server} {server_words}
)";

const char* const nginx_configuration = R"({load_module}daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events { worker_connections 256; }
stream {
    server {
        listen {address};
        proxy_pass {server};
        proxy_protocol on;
        proxy_half_close on;
    }
}
)";

/// Debian has the stream module in a file of its own; other builds have it inside.
std::string load_stream_module()
{
    for (const char* folder : {"/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"}) {
        const std::string file = std::string{folder} + "/ngx_stream_module.so";
        if (::access(file.c_str(), R_OK) == 0)
            return "load_module " + file + ";\n";
    }
    process version{{find_program("nginx", "nginx-core"), "-V"}};
    if (!version.wait_for_error(holds({"--with-stream"})) ||
        version.wait_for_error(holds({"--with-stream=dynamic"}), milliseconds{0}))
        throw std::runtime_error(
            "nginx's stream module is missing: install the package libnginx-mod-stream");
    return "";
}

std::vector<std::string> fields(const std::string& line)
{
    std::vector<std::string> list;
    std::istringstream text{line};
    for (std::string field; std::getline(text, field, ',');)
        list.push_back(field);
    return list;
}

}  // namespace

std::string filled(std::string text, const std::vector<std::pair<std::string, std::string>>& with)
{
    for (const auto& [name, value] : with) {
        const std::string mark = '{' + name + '}';
        text.replace(text.find(mark), mark.size(), value);
    }
    return text;
}

haproxy::haproxy(const options& how) : at_(listen_at(how.host))
{
    const std::string configuration = folder_.write(
        "haproxy.cfg", filled(haproxy_configuration, {{"folder", folder_.path()},
                                                      {"fd", std::to_string(at_.fd)},
                                                      {"bind_words", how.bind_words},
                                                      {"frontend_lines", how.frontend_lines},
                                                      {"backend_lines", how.backend_lines},
                                                      {"server", how.server},
                                                      {"server_words", how.server_words}}));
    program_.emplace(std::vector{find_program("haproxy", "haproxy"), std::string{"-db"},
                                 std::string{"-f"}, configuration},
                     process_options{.inherited = {at_.fd}});
}

haproxy::~haproxy()
{
    ::close(at_.fd);
}

std::string haproxy::server_column(const std::string& column)
{
    client asking = connect_when_ready("unix:" + (folder_ / "stats"));
    asking.send("show stat\n");
    std::istringstream table{asking.read_to_end().bytes};
    std::string line;
    std::getline(table, line);
    const std::vector<std::string> names = fields(line.substr(2));  // "# pxname,svname,..."
    while (std::getline(table, line)) {
        if (!line.starts_with("back,whoami,"))
            continue;
        const std::vector<std::string> values = fields(line);
        for (std::size_t i = 0; i < names.size(); ++i) {
            if (names[i] == column)
                return values.at(i);
        }
    }
    throw std::runtime_error("HAProxy's statistics have no " + column);
}

nginx::nginx(const std::string& host, const std::string& server) : address_(free_address(host))
{
    const std::string configuration = folder_.write(
        "nginx.conf", filled(nginx_configuration, {{"load_module", load_stream_module()},
                                                   {"folder", folder_.path()},
                                                   {"address", address_},
                                                   {"server", server}}));
    program_.emplace(std::vector{find_program("nginx", "nginx-core"), std::string{"-p"},
                                 folder_.path().string(), std::string{"-e"}, std::string{"stderr"},
                                 std::string{"-c"}, configuration});
}

client connect_when_ready(const std::string& address, const client_options& options)
{
    for (const auto until = steady::now() + step_time_max;;) {
        try {
            return client{address, options};
        } catch (const std::system_error&) {
            if (steady::now() > until)
                throw;
            ::sched_yield();
        }
    }
}

std::vector<std::string> output_of(const std::vector<std::string>& command)
{
    process program{command};
    if (program.wait_for_exit() != 0)
        throw std::runtime_error(command.front() + " failed: " + program.errors_text());
    return program.output_lines();
}

}  // namespace support

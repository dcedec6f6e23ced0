#include "programs/metrics.hpp"

#include <sstream>
#include <stdexcept>

namespace support {

std::string status_address(whoami_server& server)
{
    const auto line = server.program().wait_for_output(holds({R"("event":"metrics")"}));
    return line ? nlohmann::json::parse(*line).at("address").get<std::string>() : "";
}

std::string http_get(const std::string& address, const std::string& path)
{
    client to{address};
    to.send("GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n");
    return to.read_to_end().bytes;
}

metrics::metrics(whoami_server& server) : text_(http_get(status_address(server), "/metrics"))
{
    if (!text_.starts_with("HTTP/1.1 200 "))
        throw std::runtime_error("no metrics: '" + text_ + "'");
}

long metrics::value(const std::string& name, const std::vector<std::string>& labels) const
{
    const process::line_check is_wanted = holds(labels);
    long sum = 0;
    std::istringstream lines{text_};
    for (std::string line; std::getline(lines, line);) {
        const std::size_t end = line.find_first_of("{ ");
        if (line.substr(0, end) == name && is_wanted(line))
            sum += std::stol(line.substr(line.rfind(' ') + 1));
    }
    return sum;
}

long wait_for_metric(whoami_server& server, const std::string& name, long wanted,
                     milliseconds time_max)
{
    const auto until = std::chrono::steady_clock::now() + time_max;
    long value = metrics{server}.value(name);
    while (value != wanted && std::chrono::steady_clock::now() < until &&
           !server.program().wait_for_exit(milliseconds{5}))
        value = metrics{server}.value(name);
    return value;
}

}  // namespace support

#pragma once

#include "programs/whoami_server.hpp"

#include <string>
#include <vector>

namespace support {

/// Waits for the line that says where the status endpoint is, and gives its address; "": none came.
std::string status_address(whoami_server& server);

/// Asks an HTTP server and gives all of its answer.
std::string http_get(const std::string& address, const std::string& path);

/// Is what a server started with --metrics told at one moment.
class metrics {
public:
    explicit metrics(whoami_server& server);

    /// Adds the samples of a metric that hold all of `labels`, such as R"(reason="idle")".
    long value(const std::string& name, const std::vector<std::string>& labels = {}) const;

private:
    std::string text_;
};

/// Waits until a metric has a value; gives what it last had.
long wait_for_metric(whoami_server& server, const std::string& name, long wanted,
                     milliseconds time_max = step_time_max);

}  // namespace support

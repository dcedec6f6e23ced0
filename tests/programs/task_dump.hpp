#pragma once

#include "programs/whoami_server.hpp"

#include <map>
#include <string>
#include <vector>

namespace support {

/// Is what one runtime tells of its tasks.
struct runtime_dump {
    std::size_t sessions = 0;          // of whoami, that wait for their clients
    std::vector<std::string> clients;  // of the sessions that are told one by one
};

/// Sends SIGUSR1 and reads what all the runtimes write then. Throws when one is missing.
std::map<std::size_t, runtime_dump> dump_tasks(whoami_server& server, std::size_t runtimes);

}  // namespace support

#include "programs/task_dump.hpp"

#include <algorithm>
#include <csignal>
#include <stdexcept>

namespace support {

using nlohmann::json;

namespace {

constexpr std::size_t told_max = 100;  // tasks that are told one by one

/// Gathers the lines of one runtime.
struct gathered {
    std::size_t lines_left = 1;  // the first says how many follow
    runtime_dump told;

    void add(const json& line)
    {
        const std::string event = line.at("event");
        if (event == "tasks") {
            const std::size_t tasks = line.at("count");
            lines_left += line.at("places").get<std::size_t>() + std::min(tasks, told_max);
        } else if (event == "tasks_at") {
            const std::string at = line.at("at");
            if (at.find("examples/whoami.cpp:") != at.npos)
                told.sessions += line.at("count").get<std::size_t>();
        } else if (line.contains("client")) {
            told.clients.push_back(line.at("client"));
        }
        --lines_left;
    }
};

}  // namespace

std::map<std::size_t, runtime_dump> dump_tasks(whoami_server& server, std::size_t runtimes)
{
    const std::size_t lines_before = server.program().error_lines().size();
    std::size_t seen = 0;
    std::map<std::size_t, gathered> all;
    server.program().signal(SIGUSR1);
    const auto is_last = [&](const std::string& line) {
        if (++seen > lines_before && line.find(R"("event":"task)") != line.npos) {
            const json told = json::parse(line);
            all[told.at("runtime")].add(told);
        }
        return all.size() == runtimes && std::ranges::all_of(all, [](const auto& each) {
                   return each.second.lines_left == 0;
               });
    };
    if (!server.program().wait_for_error(is_last))
        throw std::runtime_error("a runtime does not tell its tasks");
    std::map<std::size_t, runtime_dump> told;
    for (auto& [runtime, each] : all)
        told[runtime] = std::move(each.told);
    return told;
}

}  // namespace support

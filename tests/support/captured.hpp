#pragma once

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <sstream>
#include <string>
#include <vector>

namespace support {

/// Catches what is written to a descriptor while it lives.
class captured {
public:
    explicit captured(int fd) : fd_(fd), before_(dup(fd))
    {
        REQUIRE(pipe(ends_.data()) == 0);
        dup2(ends_[1], fd_);
    }
    ~captured()
    {
        dup2(before_, fd_);
        for (const int end : {ends_[0], ends_[1], before_})
            close(end);
    }
    captured(const captured&) = delete;
    captured& operator=(const captured&) = delete;

    /// The lines up to now, each a JSON object.
    std::vector<nlohmann::json> events() const
    {
        fcntl(ends_[0], F_SETFL, O_NONBLOCK);
        std::array<char, 65536> text{};
        const ssize_t size = read(ends_[0], text.data(), text.size());
        std::istringstream lines{{text.data(), static_cast<std::size_t>(size > 0 ? size : 0)}};
        std::vector<nlohmann::json> all;
        for (std::string line; std::getline(lines, line);)
            all.push_back(nlohmann::json::parse(line));
        return all;
    }

private:
    int fd_;
    int before_;
    std::array<int, 2> ends_{};
};

}  // namespace support

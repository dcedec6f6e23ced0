#pragma once

#include <functional>
#include <string>

namespace support {

/// Runs `misuse` in a child process, which must abort; gives what it printed on stderr.
std::string abort_message_of(const std::function<void()>& misuse);

}  // namespace support

#pragma once

#include <whence/whence.hpp>

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <vector>

namespace examples {

/// Holds what an example server lets in.
struct limit_options {
    whence::limits_options all;
    whence::client_limits_options client{.connections_per_client_max =
                                             whence::client_limits_options::unlimited};
    std::vector<std::string> allow;  // with an empty allow_file: everyone
    std::vector<std::string> deny;
    std::string allow_file;
    std::string deny_file;
    bool allow_local = false;
};

/// Adds --connections-max, --client-connections-max, --client-rate-max, --client-prefix-v4,
/// --client-prefix-v6, --local-connections-max, --unknown-connections-max, --allow, --deny,
/// --allow-file, --deny-file and --allow-local.
void add_limit_options(CLI::App& app, limit_options& options);

/// Is the gate that the options ask for; stands behind the header gate.
class limit_gates {
public:
    static constexpr bool judges_client = true;

    /// errors: std::runtime_error naming a file, and the line in it, or the list that lets nobody
    /// in.
    explicit limit_gates(const limit_options& options);

    whence::task<whence::verdict> operator()(whence::connection& conn) const;

    /// Gives the lists that come from files.
    std::vector<whence::client_list> lists_of_files() const;

private:
    std::optional<whence::client_list> allowed_;
    std::optional<whence::client_list> denied_;
    std::optional<whence::allow> allow_;
    std::optional<whence::deny> deny_;
    std::optional<whence::client_limits>
        each_;  // remembers every client: only when it is asked for
    whence::limits all_;
};

/// Reads the lists again at every SIGHUP, until it is cancelled. Says on stderr what came of it:
/// {"event":"reloaded","file":...,"entries":N} or {"event":"reload_failed","file":...,"error":...},
/// and then the list is as it was.
whence::task<> reload_on_hangup(std::vector<whence::client_list> lists);

}  // namespace examples

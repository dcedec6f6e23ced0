#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace examples {

/// Adds an option whose text `parse` turns into `target`; what it says of bad text is shown.
template <class T, class Parse>
CLI::Option* add_parsed(CLI::App& app, const std::string& name, T& target, Parse parse,
                        const std::string& help)
{
    return app.add_option_function<std::string>(
        name,
        [name, &target, parse](const std::string& text) {
            auto parsed = parse(text);
            if (!parsed)
                throw CLI::ValidationError(name, parsed.error());
            target = *parsed;
        },
        help);
}

}  // namespace examples

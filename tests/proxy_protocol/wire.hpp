#pragma once

#include <whence/base/text.hpp>
#include <whence/proxy_protocol/parse.hpp>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>

/// Owns bytes in a heap block of exactly their size, so that a sanitizer sees every read behind it.
class wire {
public:
    explicit wire(whence::const_bytes bytes)
        : size_(bytes.size()), bytes_(std::make_unique<std::byte[]>(bytes.size()))
    {
        if (!bytes.empty())
            std::memcpy(bytes_.get(), bytes.data(), bytes.size());
    }
    explicit wire(std::string_view text) : wire(whence::as_bytes(text)) {}

    operator whence::const_bytes() const { return {bytes_.get(), size_}; }
    std::size_t size() const { return size_; }
    whence::const_bytes first(std::size_t count) const { return {bytes_.get(), count}; }

private:
    std::size_t size_;
    std::unique_ptr<std::byte[]> bytes_;
};

inline wire from_hex(std::string_view text)
{
    return wire{*whence::parse_hex(text)};
}

/// Prints all that a header says, so that two can be compared and a difference can be read.
inline std::string describe(const whence::proxy_protocol::header_view& header)
{
    using namespace whence;
    std::string text = "v" + std::to_string(header.version()) + " ";
    text.append(to_string(header.command())).append(" ").append(to_string(header.family()));
    text.append(" ").append(to_string(header.transport()));
    text.append(" ").append(to_string(header.source_as_sent()));
    text.append(" ").append(to_string(header.destination_as_sent()));
    for (const auto entry : header.tlvs())
        text.append(" ")
            .append(std::to_string(static_cast<unsigned>(entry.type)))
            .append("=")
            .append(hex_text(entry.value));
    return text.append(" size ").append(std::to_string(header.size()));
}

#pragma once

#include <whence/address/endpoint.hpp>
#include <whence/base/text.hpp>

#include <string>
#include <string_view>

namespace whence::inline v0 {

/// Builds one JSON object: `json_object{}.add("peer", peer).text()`.
/// shape: keys in the order of the calls. Keys are ours and need no escaping; values may be
/// anybody's.
class json_object {
public:
    json_object& add(std::string_view key, std::string_view value)
    {
        begin(key);
        json_text(text_, value);
        return *this;
    }
    json_object& add(std::string_view key, const char* value)
    {
        return add(key, std::string_view{value});
    }
    json_object& add(std::string_view key, const endpoint& value)
    {
        return add(key, std::string_view{to_string(value)});
    }
    json_object& add(std::string_view key, u64 value)
    {
        begin(key);
        text_ += std::to_string(value);
        return *this;
    }
    /// Adds a value that is JSON already.
    json_object& add_json(std::string_view key, std::string_view value)
    {
        begin(key);
        text_ += value;
        return *this;
    }

    std::string text() const { return text_.empty() ? "{}" : text_ + '}'; }

private:
    void begin(std::string_view key)
    {
        text_ += text_.empty() ? "{\"" : ",\"";
        text_ += key;
        text_ += "\":";
    }

    std::string text_;
};

/// Starts a log line: an object whose first key tells the event.
inline json_object json_line(std::string_view event)
{
    json_object line;
    line.add("event", event);
    return line;
}

}  // namespace whence::inline v0

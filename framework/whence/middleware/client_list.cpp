#include <whence/middleware/client_list.hpp>

#include <whence/address/network_set.hpp>
#include <whence/base/text.hpp>
#include <whence/middleware/client_identity.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <stdexcept>

namespace whence::inline v0 {

namespace {

constexpr std::string_view uid_prefix = "unix:uid=";
constexpr std::size_t file_size_max = std::size_t{64} << 20;
constexpr std::size_t line_size_max = 256;

/// Collects entries before they are sorted.
struct collected {
    std::vector<network> networks;
    std::vector<u32> uids;

    /// Returns what is wrong with an entry; empty: nothing.
    std::string add(std::string_view entry)
    {
        if (entry.starts_with(uid_prefix)) {
            const auto uid = parse_number(entry.substr(uid_prefix.size()), ~u32{0});
            if (!uid)
                return "unix:uid " + uid.error();
            uids.push_back(static_cast<u32>(*uid));
            return {};
        }
        if (entry.starts_with("unix:"))
            return quoted(entry) + ": a UNIX peer is named by \"unix:uid=N\", not by a path";
        const auto parsed = network::parse(entry);
        if (!parsed)
            return parsed.error();
        networks.push_back(*parsed);
        return {};
    }

    template <class Entries>
    void add_all(const Entries& entries)
    {
        for (const auto& entry : entries) {
            if (const std::string wrong = add(entry); !wrong.empty())
                throw std::invalid_argument("client list: " + wrong);
        }
    }
};

std::string_view trimmed(std::string_view line)
{
    constexpr std::string_view blanks = " \t\r";
    line = line.substr(0, line.find('#'));
    const std::size_t first = line.find_first_not_of(blanks);
    if (first == line.npos)
        return {};
    return line.substr(first, line.find_last_not_of(blanks) - first + 1);
}

/// Adds the entries of a file's text. Returns what is wrong and where; empty: nothing.
std::string add_lines(collected& to, std::string_view text, const std::string& path)
{
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t size = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, size);
        text.remove_prefix(std::min(size + 1, text.size()));
        std::string wrong;
        if (line.size() > line_size_max)
            wrong = "longer than " + std::to_string(line_size_max) + " bytes";
        else if (const std::string_view entry = trimmed(line); !entry.empty())
            wrong = to.add(entry);
        if (!wrong.empty())
            return path + ":" + std::to_string(number) + ": " + wrong;
    }
    return {};
}

/// Reads a whole file. Returns what is wrong; empty: nothing.
std::string read_file(const std::string& path, std::string& text)
{
    const auto failed = [&path](const std::error_code& error) {
        return path + ": " + error.message();
    };
    // A pipe would be waited for, with everybody else waiting, too.
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (error)
        return failed(error);
    if (!std::filesystem::is_regular_file(status))
        return path + ": is no regular file";
    const auto close = [](std::FILE* opened) { std::fclose(opened); };
    const std::unique_ptr<std::FILE, decltype(close)> file{std::fopen(path.c_str(), "re"), close};
    if (!file)
        return failed({errno, std::generic_category()});
    char part[16'384];
    while (const std::size_t size = std::fread(part, 1, sizeof part, file.get())) {
        text.append(part, size);
        if (text.size() > file_size_max)
            return path + ": longer than " + size_text(file_size_max);
    }
    if (std::ferror(file.get()) != 0)
        return failed({errno, std::generic_category()});
    return {};
}

}  // namespace

struct client_list::contents {
    network_set networks;
    std::vector<u32> uids;

    explicit contents(collected from)
        : networks(std::move(from.networks)), uids(std::move(from.uids))
    {
        std::ranges::sort(uids);
        const auto twice = std::ranges::unique(uids);
        uids.erase(twice.begin(), twice.end());
    }
};

struct client_list::shared {
    std::string path;
    std::vector<std::string> fixed;
    std::mutex lock;  // for as long as a pointer is copied
    std::shared_ptr<const contents> listed;

    void swap_in(collected from)
    {
        auto next = std::make_shared<const contents>(std::move(from));
        const std::lock_guard guard{lock};
        listed.swap(next);
    }
};

client_list::client_list(std::initializer_list<std::string_view> entries)
    : self_(std::make_shared<shared>())
{
    collected all;
    all.add_all(entries);
    self_->swap_in(std::move(all));
}

client_list::client_list(std::span<const std::string> entries) : client_list()
{
    replace(entries);
}

client_list client_list::load(std::string path, std::span<const std::string> entries)
{
    client_list list{entries};
    list.self_->path = std::move(path);
    list.self_->fixed.assign(entries.begin(), entries.end());
    const auto loaded = list.reload();
    if (!loaded)
        throw std::runtime_error(loaded.error());
    return list;
}

void client_list::replace(std::span<const std::string> entries)
{
    collected all;
    all.add_all(entries);
    self_->swap_in(std::move(all));
}

result<std::size_t, std::string> client_list::reload()
{
    if (path().empty())
        return size();
    std::string text;
    if (std::string wrong = read_file(path(), text); !wrong.empty())
        return wrong;
    collected all;
    all.add_all(self_->fixed);
    if (std::string wrong = add_lines(all, text, path()); !wrong.empty())
        return wrong;
    self_->swap_in(std::move(all));
    return size();
}

std::shared_ptr<const client_list::contents> client_list::now_listed() const noexcept
{
    const std::lock_guard guard{self_->lock};
    return self_->listed;
}

bool client_list::names(const connection& conn) const
{
    const internal::client_identity client = internal::identify_client(conn);
    if (client.kind == internal::client_kind::address)
        return contains(client.address);
    return client.kind == internal::client_kind::user && contains_user(client.uid);
}

bool client_list::contains(const ip_address& address) const noexcept
{
    return now_listed()->networks.contains(address);
}

bool client_list::contains_user(u32 uid) const noexcept
{
    return std::ranges::binary_search(now_listed()->uids, uid);
}

std::size_t client_list::size() const noexcept
{
    const auto listed = now_listed();
    return listed->networks.size() + listed->uids.size();
}

const std::string& client_list::path() const noexcept
{
    return self_->path;
}

}  // namespace whence::inline v0

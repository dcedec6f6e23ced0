#include <whence/middleware/client_list.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

using namespace whence;

namespace {

/// Is a directory that goes with its files.
class own_directory {
public:
    own_directory()
    {
        std::string name = (std::filesystem::temp_directory_path() / "whence-list-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~own_directory() { std::filesystem::remove_all(path_); }

    std::string write(const std::string& name, std::string_view text) const
    {
        const auto path = path_ / name;
        std::ofstream{path} << text;
        return path.string();
    }

private:
    std::filesystem::path path_;
};

bool has(const client_list& list, std::string_view address)
{
    return list.contains(*ip_address::parse(address));
}

template <class Error, class Work>
std::string error_of(Work work)
{
    try {
        work();
    } catch (const Error& error) {
        return error.what();
    }
    return "none";
}

}  // namespace

TEST_CASE("a list holds networks, addresses and users", "[middleware]")
{
    const client_list list{"192.0.2.0/24", "2001:db8::7", "unix:uid=1000", "unix:uid=1000"};
    CHECK(has(list, "192.0.2.77"));
    CHECK(has(list, "::ffff:192.0.2.77"));
    CHECK(has(list, "2001:db8::7"));
    CHECK_FALSE(has(list, "192.0.3.1"));
    CHECK_FALSE(has(list, "2001:db8::8"));
    CHECK(list.contains_user(1000));
    CHECK_FALSE(list.contains_user(0));
    CHECK(list.size() == 3);
    CHECK(client_list{}.size() == 0);
}

TEST_CASE("copies of a list are one list; a bad change changes nothing", "[middleware]")
{
    client_list list{"192.0.2.0/24"};
    const client_list copy = list;
    const std::array<std::string, 2> other{"198.51.100.0/24", "unix:uid=5"};
    list.replace(other);
    CHECK(has(copy, "198.51.100.1"));
    CHECK_FALSE(has(copy, "192.0.2.1"));
    const std::array<std::string, 2> wrong{"203.0.113.0/24", "203.0.113.1/24"};
    CHECK(error_of<std::invalid_argument>([&] { list.replace(wrong); }) ==
          "client list: \"203.0.113.1/24\": bits set behind the prefix; did you mean "
          "203.0.113.0/24?");
    CHECK(has(copy, "198.51.100.1"));
    CHECK_FALSE(has(copy, "203.0.113.1"));
}

TEST_CASE("a list is read from a file, and again", "[middleware]")
{
    const own_directory here;
    const std::string path = here.write("list", "# the office\n"
                                                "192.0.2.0/24\r\n"
                                                "\n"
                                                "\t 2001:db8::/32   # and its other half\n"
                                                "unix:uid=7");
    const std::array<std::string, 1> fixed{"10.0.0.0/8"};
    client_list list = client_list::load(path, fixed);
    CHECK(list.size() == 4);
    CHECK(has(list, "192.0.2.1"));
    CHECK(has(list, "2001:db8::1"));
    CHECK(has(list, "10.1.1.1"));
    CHECK(list.contains_user(7));
    CHECK(list.path() == path);

    here.write("list", "198.51.100.0/24\n");
    const auto reloaded = list.reload();
    REQUIRE(reloaded);
    CHECK(*reloaded == 2);
    CHECK(has(list, "198.51.100.1"));
    CHECK(has(list, "10.1.1.1"));
    CHECK_FALSE(has(list, "192.0.2.1"));

    client_list without{"192.0.2.0/24"};
    CHECK(*without.reload() == 1);
}

TEST_CASE("a bad file is named with its line, and the list stays", "[middleware]")
{
    const own_directory here;
    const std::string path = here.write("list", "192.0.2.0/24\n");
    client_list list = client_list::load(path);
    struct row {
        std::string text;
        std::string said;
    };
    const std::string comment(255, ' ');
    for (const row& bad :
         {row{"10.0.0.0/8\n\n10.0.0.0/33 # too long\n", ":3: \"10.0.0.0/33\": prefix \"33\""},
          row{"unix:/run/x\n", ":1: \"unix:/run/x\": a UNIX peer is named by"},
          row{"unix:uid=-1\n", ":1: unix:uid "}, row{"10.0.0.0/8 11.0.0.0/8\n", ":1: "},
          row{std::string(257, '1') + "\n", ":1: longer than 256 bytes"},
          row{std::string{"\0", 1}, ":1: "}})
    {
        CAPTURE(bad.text);
        here.write("list", bad.text);
        const auto again = list.reload();
        REQUIRE_FALSE(again);
        CHECK(again.error().find(path + bad.said) == 0);
        CHECK(error_of<std::runtime_error>([&] { client_list::load(path); }) == again.error());
        CHECK(has(list, "192.0.2.1"));
        CHECK_FALSE(has(list, "10.0.0.1"));
    }
    std::filesystem::remove(path);
    CHECK(list.reload().error() == path + ": No such file or directory");
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    CHECK(list.reload().error() == path + ": is no regular file");
    CHECK(has(list, "192.0.2.1"));
    const std::array<std::string, 1> wrong{"nobody"};
    CHECK(error_of<std::invalid_argument>([&] { client_list::load(path, wrong); }) != "none");
}

TEST_CASE("a list changes under its readers: each sees the old one or the new one", "[middleware]")
{
    const std::array<std::string, 2> one{"192.0.2.0/24", "198.51.100.0/24"};
    const std::array<std::string, 1> other{"192.0.2.0/24"};
    client_list list{one};
    std::atomic<bool> stop = false;
    std::atomic<int> missed = 0;
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i)
        readers.emplace_back([&, reader = list] {
            while (!stop)
                missed += has(reader, "192.0.2.9") && !has(reader, "203.0.113.1") ? 0 : 1;
        });
    for (int i = 0; i < 2'000; ++i)
        list.replace(i % 2 == 0 ? std::span<const std::string>{other} : one);
    stop = true;
    for (auto& each : readers)
        each.join();
    CHECK(missed == 0);
}

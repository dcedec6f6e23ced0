#include <whence/middleware/access_log.hpp>

#include <whence/net/outcome.hpp>
#include <whence/runtime/json_line.hpp>
#include <whence/runtime/runtime.hpp>

#include <cstdio>

namespace whence::inline v0 {

namespace {

std::string rfc3339(nanoseconds since_epoch)
{
    const auto whole = std::chrono::floor<milliseconds>(since_epoch);
    const auto days = std::chrono::floor<std::chrono::days>(whole);
    const std::chrono::year_month_day date{std::chrono::sys_days{days}};
    const std::chrono::hh_mm_ss time{whole - days};
    char text[40];
    const int size = std::snprintf(
        text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
        static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
        static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
    return {text, static_cast<std::size_t>(size)};
}

}  // namespace

access_log::record::~record()
{
    try {
        write();
    } catch (const std::bad_alloc&) {
        // A line less; the connection ends all the same.
    }
}

void access_log::record::ended(const std::exception_ptr& error) noexcept
{
    outcome_ = internal::outcome_of(conn_, error);
}

void access_log::record::write() const
{
    runtime& here = runtime::current();
    json_object line = json_line("access");
    line.add("time", rfc3339(here.io().wall_now()))
        .add("client", conn_.client())
        .add("server", conn_.server())
        .add("peer", conn_.peer())
        .add("local", conn_.local())
        .add("origin", to_string(conn_.origin()));
    if (const auto header = conn_.header())
        line.add("version", u64{header->version()});
    line.add("duration_ms",
             static_cast<u64>(std::chrono::floor<milliseconds>(now() - conn_.made_at()).count()))
        .add("bytes_received", conn_.bytes_received())
        .add("bytes_sent", conn_.bytes_sent())
        .add("outcome", outcome_);
    (to_ == log_stream::standard_output ? here.output() : here.errors()).line(line.text());
}

}  // namespace whence::inline v0

#include <whence/runtime/log_sink.hpp>

#include <whence/base/check.hpp>

#include <algorithm>

namespace whence::inline v0 {

namespace {

constexpr std::size_t gathered_max = 256 * 1024;  // bytes: some thousand lines

}  // namespace

log_sink::log_sink(driver& io, internal::inbox& mail, int fd) noexcept
    : io_(io), fd_(fd),
      gathered_(
          mail, [](void* self) noexcept { static_cast<log_sink*>(self)->start_write(); }, this)
{
    write_.self = this;
    write_.done = [](operation& op) noexcept {
        static_cast<write_operation&>(op).self->on_written();
    };
}

log_sink::~log_sink()
{
    gathered_.settle();
    cancel(write_);
    while (write_.state != operation_state::idle)
        io_.wait(nanoseconds::max());
}

void log_sink::line(std::string_view text) noexcept
{
    {
        const std::lock_guard guard{lock_};
        if (gathering_.size() + text.size() + 1 > gathered_max) {
            ++dropped_;
            return;
        }
        const std::size_t before = gathering_.size();
        try {
            append(text);
        } catch (const std::bad_alloc&) {
            gathering_.resize(before);
            ++dropped_;
            return;
        }
    }
    gathered_.raise();
}

void log_sink::append(std::string_view text)
{
    const u64 dropped = dropped_.load(std::memory_order_relaxed);
    if (dropped != dropped_reported_) {
        gathering_ += "{\"event\":\"log_dropped\",\"count\":";
        gathering_ += std::to_string(dropped - dropped_reported_);
        gathering_ += "}\n";
    }
    gathering_ += text;
    gathering_ += '\n';
    dropped_reported_ = dropped;
}

void log_sink::start_write() noexcept
{
    if (write_.state != operation_state::idle)
        return;
    {
        const std::lock_guard guard{lock_};
        std::swap(gathering_, writing_);
    }
    if (writing_.empty())
        return;
    write_.what = verb::write;
    write_.fd = fd_;
    write_.data = writing_.data();
    write_.size = static_cast<u32>(writing_.size());
    write_.offset = ~u64{0};  // where the file stands
    submit(write_, io_);
}

void log_sink::on_written() noexcept
{
    const auto written = static_cast<std::size_t>(write_.result > 0 ? write_.result : 0);
    if (written != 0 && written < write_.size) {
        write_.data = static_cast<char*>(write_.data) + written;
        write_.size -= static_cast<u32>(written);
        submit(write_, io_);
        return;
    }
    if (written < write_.size) {
        // Nobody reads the log any more, or it is full and does not block.
        const std::string_view lost{static_cast<const char*>(write_.data), write_.size};
        const std::lock_guard guard{lock_};
        dropped_ += static_cast<u64>(std::ranges::count(lost, '\n'));
    }
    writing_.clear();
    if (write_.result > 0)
        start_write();
}

void log_sink::flush(nanoseconds time_max) noexcept
{
    const time_point until = io_.now() + time_max;
    start_write();
    while (write_.state != operation_state::idle) {
        const nanoseconds left = until - io_.now();
        if (left <= nanoseconds::zero())
            return;
        io_.wait(left);
    }
}

}  // namespace whence::inline v0

#include <whence/net/outbox.hpp>

namespace whence::inline v0 {

namespace {

constexpr std::size_t bytes_limit = std::size_t{1} << 30;  // what one write may carry

const char* reason_of(int error) noexcept
{
    switch (error) {
    case ENOBUFS:
        return "outbox: the peer reads too slowly";
    case ETIMEDOUT:
        return "outbox: the peer has not read the rest in time";
    default:
        return "outbox: write";
    }
}

}  // namespace

/// Is the time in which run() writes: whatever ends it, nobody goes on waiting.
class outbox::tenure {
public:
    explicit tenure(outbox& of) noexcept : of_(of) { of_.writer_ = internal::ctx.current; }
    ~tenure() { of_.end(); }
    tenure(const tenure&) = delete;
    tenure& operator=(const tenure&) = delete;

private:
    outbox& of_;
};

outbox::outbox(connection& conn, const outbox_options& options) noexcept
    : timer(&on_drain_due), conn_(conn), options_(options)
{
    expects(options.bytes_max > 0 && options.bytes_max <= bytes_limit,
            "an outbox holds from 1 byte to 1 GiB");
    expects(options.messages_max > 0, "an outbox holds one message at least");
}

outbox::~outbox()
{
    expects(!writer_, "an outbox is destroyed when its run() has ended");
    expects(pushing_.empty() && flushing_.empty(), "an outbox is destroyed when nobody waits");
    if (armed())
        internal::ctx.running->timers().disarm(*this);
}

bool outbox::has_room(std::size_t size) const noexcept
{
    return sizes_.size() < options_.messages_max && options_.bytes_max - queued_.size() >= size;
}

push_outcome outbox::try_push(const_bytes message) noexcept
{
    if (closed_)
        return push_outcome::closed;
    if (message.size() > options_.bytes_max)
        return push_outcome::too_large;
    if (message.empty())
        return push_outcome::queued;
    if (options_.when_full == outbox_policy::drop_oldest) {
        const u64 before = counters_.dropped;
        while (!has_room(message.size()))
            drop_one();
        const push_outcome outcome = put(message);
        const bool dropped = counters_.dropped != before;
        return outcome == push_outcome::queued && dropped ? push_outcome::queued_others_dropped
                                                          : outcome;
    }
    if (has_room(message.size()) && pushing_.empty())
        return put(message);
    if (options_.when_full == outbox_policy::disconnect)
        fail(ENOBUFS);
    return push_outcome::full;
}

push_outcome outbox::put(const_bytes message) noexcept
{
    const auto size = static_cast<u32>(message.size());
    try {
        queued_.reserve(size);
        sizes_.reserve(1);
    } catch (const std::bad_alloc&) {
        ++counters_.dropped;
        return push_outcome::no_memory;
    }
    queued_.append(message);
    sizes_.append({&size, 1});
    taken_ += size;
    ++counters_.messages;
    counters_.bytes_high = std::max(counters_.bytes_high, queued_.size());
    work_.wake_one();
    return push_outcome::queued;
}

void outbox::drop_one() noexcept
{
    queued_.drop(sizes_.front());
    sizes_.drop(1);
    ++counters_.dropped;
}

task<> outbox::run()
{
    expects(!writer_ && !ended_, "an outbox has one writer, once");
    const tenure here{*this};
    while (error_ == 0) {
        while (queued_.empty() && !closed_)
            co_await work_.wait();
        if (queued_.empty())
            break;
        take_queued();
        auto writing = as_result(conn_.write(sending_.items()));
        const std::error_code failed = co_await writing;
        writing_ = false;
        if (!failed)
            wrote();
        else if (error_ == 0)
            fail(failed.value());
    }
    if (error_ != 0)
        throw_error(error_, reason_of(error_));
}

/// Turns what waits into what is written, and lets in who waits for room.
void outbox::take_queued() noexcept
{
    sending_.swap(queued_);
    sizes_.clear();
    writing_ = true;
    ++counters_.writes;
    while (!pushing_.empty() && has_room(pushing_.front().message.size())) {
        waiter& first = pushing_.pop_front();
        complete(*first.op, static_cast<int>(put(first.message)));
    }
}

void outbox::wrote() noexcept
{
    sending_.clear();
    sent_ = taken_ - queued_.size();
    while (!flushing_.empty() && flushing_.front().until <= sent_)
        complete(*flushing_.pop_front().op, 1);
    if (queued_.empty()) {
        queued_.rest();
        sending_.rest();
        sizes_.rest();
    }
}

/// Ends it with an error: nothing more is taken, and the write under way is cut.
void outbox::fail(int error) noexcept
{
    error_ = error;
    close();
    if (writing_)
        whence::cancel(*writer_);
}

void outbox::close() noexcept
{
    if (closed_)
        return;
    closed_ = true;
    work_.wake_one();
    tell_closed(pushing_);
    internal::ctx.running->timers().arm(*this, later(now(), options_.drain_time_max));
}

void outbox::on_drain_due(timer& self) noexcept
{
    static_cast<outbox&>(self).fail(ETIMEDOUT);
}

void outbox::end() noexcept
{
    ended_ = true;
    writer_ = nullptr;
    writing_ = false;
    if (error_ == 0 && !(closed_ && queued_.empty()))
        error_ = ECANCELED;
    close();
    internal::ctx.running->timers().disarm(*this);
    tell_closed(flushing_);
}

void outbox::tell_closed(intrusive_list<waiter>& waiting) noexcept
{
    const bool flushing = &waiting == &flushing_;
    while (!waiting.empty())
        complete(*waiting.pop_front().op, flushing ? 0 : static_cast<int>(push_outcome::closed));
}

void outbox::submit(operation& op) noexcept
{
    auto& waiting = *static_cast<waiter*>(op.data);
    waiting.op = &op;
    (waiting.until == 0 ? pushing_ : flushing_).push_back(waiting);
}

void outbox::cancel(operation& op) noexcept
{
    static_cast<waiter*>(op.data)->unlink();
    complete(op, -ECANCELED);
}

bool outbox::push_awaiter::await_ready() noexcept
{
    if (internal::ctx.current->stopped)
        return false;
    outcome_ = of_.try_push(message);
    return outcome_ != push_outcome::full || of_.options_.when_full != outbox_policy::wait;
}

bool outbox::flush_awaiter::await_ready() noexcept
{
    if (internal::ctx.current->stopped)
        return false;
    sent_ = of_.sent_ >= until;
    return sent_ || of_.ended_;
}

}  // namespace whence::inline v0

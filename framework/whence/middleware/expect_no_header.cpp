#include <whence/middleware/expect_no_header.hpp>

#include <whence/proxy_protocol/hint.hpp>
#include <whence/runtime/runtime.hpp>

namespace whence::inline v0::internal {

namespace {

void report(const connection& conn, std::string_view hint) noexcept
{
    runtime::current().reports().event("hint", [&](json_object& line) {
        line.add("hint", std::string{hint} + " on a listener without the gate")
            .add("peer", conn.peer())
            .add("local", conn.local());
    });
}

}  // namespace

first_look::first_look(connection& conn) noexcept
    : conn_(conn), below_(conn.exchange_transport(*this))
{
    if (conn.bytes_received() != 0)
        step_aside();
}

first_look::~first_look()
{
    step_aside();
}

void first_look::step_aside() noexcept
{
    if (!std::exchange(in_place_, false))
        return;
    transport& there = conn_.exchange_transport(below_);
    if (&there != this)
        conn_.exchange_transport(there);  // a stream has been built upon this one, and needs it
}

void first_look::submit(operation& op) noexcept
{
    // `via` stays this: on_received() finds its way back by it, and a cancellation passes by here.
    if (op.what == verb::recv || op.what == verb::recv_pooled)
        op.done = &on_received;
    below_.submit(op);
}

void first_look::on_received(operation& op) noexcept
{
    op.done = nullptr;
    auto& self = static_cast<first_look&>(*op.via);
    if (op.result > 0 && self.in_place_) {
        const const_bytes first{static_cast<const std::byte*>(op.data),
                                static_cast<std::size_t>(op.result)};
        const std::string_view hint = proxy_protocol::hint_of(first);
        if (hint.starts_with("PROXY"))
            report(self.conn_, hint);
        self.step_aside();
    }
    make_ready(op);
}

}  // namespace whence::inline v0::internal

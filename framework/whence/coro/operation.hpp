#pragma once

#include <whence/base/types.hpp>

namespace whence::inline v0 {

class carrier;

/// Names what an operation asks of the operating system; `nothing` is a wait inside the program.
enum class verb : u8 {
    nothing,
    accept_many,  // completes once per connection until it is cancelled or fails
    connect,
    recv,         // into the caller's bytes
    recv_pooled,  // into a buffer of the driver's pool, chosen when data is there
    send,         // all bytes, or an error
    read,
    write,
};

/// Tells where an operation is on its way.
enum class operation_state : u8 {
    idle,        // nobody has it
    in_flight,   // its carrier has it
    cancelling,  // its carrier has it and was asked to give it back
    ready,       // completed; its strand waits for its turn
};

/// Records one thing to do and its outcome: the only thing that passes between a coroutine and
/// whatever makes it wait (driver, stream, event, timer, join).
/// shape: at a stable address from submit to completion. `data` is the carrier's while in flight.
/// limits: completes exactly once per submit (accept_many: once per connection, the last one with
/// state idle), with its real result if it won against a cancellation.
struct operation {
    operation* next = nullptr;  // one list at a time: ready, or a carrier's own queue
    /// Null: the operation is a strand and goes on the ready list. Otherwise called for every
    /// completion; may submit, cancel and complete others, never resumes a coroutine.
    void (*done)(operation&) noexcept = nullptr;
    carrier* via = nullptr;  // who has it
    void* data = nullptr;    // in: bytes or socket address. out, recv_pooled: where the bytes begin
    u64 offset = 0;          // file offset; send: bytes that its earlier pieces have sent
    u32 size = 0;            // in: bytes
    int fd = -1;
    int result = 0;  // bytes, descriptor, or minus errno; a driver may count progress here
    verb what = verb::nothing;
    operation_state state = operation_state::idle;
    bool stopped = false;  // a strand in a stopped scope: it may start nothing more
    u8 driver_flags = 0;   // the driver's own, zero when idle
};

/// Carries operations out: a driver, a stream over one, an event, a timer, a scope's join.
class carrier {
public:
    carrier() = default;
    carrier(const carrier&) = delete;
    carrier& operator=(const carrier&) = delete;
    virtual ~carrier() = default;

    /// Takes the operation. Never fails and never calls back: errors come as its completion.
    virtual void submit(operation& op) noexcept = 0;
    /// Asks for the operation back; it still completes exactly once.
    virtual void cancel(operation& op) noexcept = 0;
};

/// Hands an operation to its carrier.
inline void submit(operation& op, carrier& via) noexcept
{
    op.via = &via;
    op.state = operation_state::in_flight;
    via.submit(op);
}

/// Asks the carrier for an operation back, once; nothing to do when it is not in flight.
inline void cancel(operation& op) noexcept
{
    if (op.state != operation_state::in_flight)
        return;
    op.state = operation_state::cancelling;
    op.via->cancel(op);
}

}  // namespace whence::inline v0

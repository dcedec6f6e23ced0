"""What tools/mutate.py breaks: a name, a file of framework/whence/, a text in it, what stands there instead."""

from typing import NamedTuple

# Test programs, the driver below, and what is left out there (as in tests/CMakeLists.txt).
PROGRAMS = [
    ("proxy_protocol", "", []),
    ("coro", "", []),
    ("middleware", "", []),
    ("middleware", "sim", ["~[kernel]"]),
    ("net", "", []),
    ("net", "sim", ["~[kernel]"]),
    ("runtime", "", []),
    ("sim", "", []),
    ("base", "", []),
    ("address", "", []),
]


class Mutation(NamedTuple):
    name: str
    file: str
    find: str
    put: str
    programs: tuple  # those that should know


PARSER = ("proxy_protocol",)
GATE = ("middleware",)
CORO = ("coro",)
NET = ("net",)

MUTATIONS = [
    # The header.
    Mutation("v2: a header is one byte longer than it says", "proxy_protocol/parse.cpp",
             "static_cast<u32>(v2_fixed_size) + length;", "static_cast<u32>(v2_fixed_size) + length + 1;", PARSER),
    Mutation("v2: source and destination swapped", "proxy_protocol/header.cpp",
             "block.subspan(4 * which).first<4>()", "block.subspan(4 - 4 * which).first<4>()", PARSER),
    Mutation("v1: the ports swapped", "proxy_protocol/parse_v1.cpp",
             "    store_big(at, pair.port[0]);\n    store_big(at + 2, pair.port[1]);",
             "    store_big(at, pair.port[1]);\n    store_big(at + 2, pair.port[0]);", PARSER),
    Mutation("v1: LF alone ends the line", "proxy_protocol/parse_v1.cpp",
             "if (window[lf - 1] != '\\r') {", "if (lf == 0) {", PARSER),
    Mutation("v2: a wrong checksum is accepted", "proxy_protocol/parse.cpp",
             "!crc_matches(bytes.first(fields.size), crc_at))",
             "!crc_matches(bytes.first(fields.size), crc_at) && false)", PARSER),
    Mutation("one byte of the header stays in front of the payload", "middleware/accept_header.cpp",
             "conn.consume(parsed.header.size());", "conn.consume(parsed.header.size() - 1);", GATE),
    Mutation("one byte of the payload goes with the header", "middleware/accept_header.cpp",
             "conn.consume(parsed.header.size());",
             "conn.consume(std::min(conn.buffered().size(), parsed.header.size() + 1));", GATE),

    # Trust.
    Mutation("trust: everyone is trusted", "proxy_protocol/trust.cpp",
             "return {others_, {}, number};", "return {trust_outcome::require, {}, number};", PARSER),
    Mutation("trust: a longer prefix does not win", "proxy_protocol/trust.cpp",
             "return std::pair{one.kind, -bits};", "return std::pair{one.kind, 0 * bits};", PARSER),
    Mutation("a peer's mapped address stays mapped", "net/socket.cpp",
             "from_socket_address(address).canonical();", "from_socket_address(address);", NET),

    # Time.
    Mutation("header: the deadline never comes", "middleware/accept_header.cpp",
             "deadline limit{later(conn.made_at(), limits.time_max)};", "deadline limit{time_point::max()};", GATE),
    Mutation("header: the deadline runs from the gate, not from the accept", "middleware/accept_header.cpp",
             "deadline limit{later(conn.made_at(), limits.time_max)};", "deadline limit{limits.time_max};", GATE),
    Mutation("header: every byte extends the deadline", "middleware/accept_header.cpp",
             "            co_return refusal_at_end(conn);\n    }\n",
             "            co_return refusal_at_end(conn);\n        limit.refresh();\n    }\n", GATE),
    Mutation("a deadline expires and stops nobody", "coro/deadline.cpp",
             "    limit.stop();\n", "", CORO),
    Mutation("an idle session is never ended", "middleware/time_limits.cpp",
             "moment_after(moved_at_, options_.idle_time_max);", "time_point::max();", GATE),
    Mutation("a stalled write is never ended", "middleware/time_limits.cpp",
             "moment_after(write_moved_at_, options_.write_time_max);", "time_point::max();", GATE),

    # Cancellation.
    Mutation("a stopped scope does not cancel what its strands wait for", "coro/scope.cpp",
             "        whence::cancel(child);\n", "", CORO),
    Mutation("what came before a cancellation is lost", "net/connection.cpp",
             "    const strand& self = *internal::ctx.current;\n",
             "    const strand& self = *internal::ctx.current;\n"
             "    if (self.stopped)\n        return error_of(ECANCELED);\n", NET),
    Mutation("an accept that was paused does not go on", "net/listener.cpp",
             "            if (waiter_)  // it came while the accepting was on its way to an end\n"
             "                start();\n", "", NET),

    # Buffers and bytes.
    Mutation("a lease is never given back", "runtime/buffers.cpp",
             "    internal::current_pool->put_back(data);\n", "", ("runtime",)),
    Mutation("a lease is given back twice", "runtime/buffers.cpp",
             "    internal::current_pool->put_back(data);\n",
             "    internal::current_pool->put_back(data);\n    internal::current_pool->put_back(data);\n",
             ("runtime",)),
    Mutation("consume() leaves its last byte", "runtime/buffers.cpp",
             "bytes_.data_ += n;", "bytes_.data_ += n - 1;", ("runtime",)),
    Mutation("io_uring: a send that was cut short is not continued", "runtime/uring_driver.cpp",
             "if (result > 0 && static_cast<u32>(result) < op.size && send_rest(op, result))",
             "if (op.size == 0 && send_rest(op, result))", ("runtime",)),

    Mutation("an outbox writes a batch again", "net/outbox.cpp",
             "    sending_.clear();\n    sent_", "    sent_", NET),

    # What must be given back, and how a connection ends.
    Mutation("a strand that ends keeps its frame when its scope failed", "coro/scope.cpp",
             "    std::coroutine_handle<promise>::from_promise(static_cast<promise&>(child)).destroy();\n",
             "    if (!error_)\n"
             "        std::coroutine_handle<promise>::from_promise(static_cast<promise&>(child)).destroy();\n",
             CORO),
    Mutation("connections that nobody accepted stay open", "net/listener.cpp",
             "            socket_.handle.calls().close(accepted);", "            (void)accepted;", NET),
    Mutation("a place among the handshakes is not given back", "net/serve.cpp",
             "    shared_.handshakes.give();\n    if (passed)", "    if (passed)", NET),
    Mutation("a client may have one connection more", "middleware/client_table.cpp",
             "entry.connections >= options_.connections_per_client_max",
             "entry.connections > options_.connections_per_client_max", GATE),
    Mutation("a client's place is not given back", "middleware/client_limits.cpp",
             "        if (entry_)\n", "        if (entry_ && entry_->connections == 0)\n", GATE),
    Mutation("a write that was cut ends in FIN", "net/connection.cpp",
             "    if (write_cut_)\n        return abort();\n", "", NET),
    Mutation("shutdown() does nothing", "net/connection.cpp",
             "        via_->shutdown_write(fd_);", "        (void)via_;", NET),

    # Wake-ups.
    Mutation("only the first of those who wait is woken", "coro/wait_queue.cpp",
             "    while (!waiting_.empty())\n        wake_one();", "    wake_one();", CORO),
    Mutation("a channel's receiver is not woken", "coro/channel.hpp",
             "        receivers_.wake_one();\n", "", CORO),
    Mutation("a reader takes the end behind a reset for a clean one", "net/connection.hpp",
             "return result == 0 && broken_ ? ECONNRESET : -result;", "return -result;", NET),
]

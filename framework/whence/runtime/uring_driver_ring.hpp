#pragma once

// Not a public header: only uring_driver knows liburing.

#include <whence/coro/operation.hpp>
#include <whence/runtime/uring_driver_buffers.hpp>

#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>

namespace whence::inline v0 {

inline constexpr std::size_t verbs = static_cast<std::size_t>(verb::write) + 1;

/// Holds what a verb's submission entries have in common.
inline constexpr std::array<io_uring_sqe, verbs> forms = [] {
    std::array<io_uring_sqe, verbs> f{};
    const auto at = [&f](verb v, io_uring_op opcode) -> io_uring_sqe& {
        io_uring_sqe& form = f[static_cast<std::size_t>(v)];
        form.opcode = static_cast<u8>(opcode);
        return form;
    };
    at(verb::nothing, IORING_OP_NOP);
    io_uring_sqe& accept = at(verb::accept_many, IORING_OP_ACCEPT);
    accept.ioprio = IORING_ACCEPT_MULTISHOT;
    accept.accept_flags = SOCK_CLOEXEC;
    at(verb::connect, IORING_OP_CONNECT);
    at(verb::recv, IORING_OP_RECV);
    io_uring_sqe& pooled = at(verb::recv_pooled, IORING_OP_RECV);
    pooled.flags = IOSQE_BUFFER_SELECT;
    pooled.buf_group = uring_buffers::group;
    at(verb::send, IORING_OP_SEND).msg_flags = MSG_WAITALL | MSG_NOSIGNAL;
    at(verb::read, IORING_OP_READ);
    at(verb::write, IORING_OP_WRITE);
    return f;
}();

/// Is an io_uring from its opening to its end.
struct open_ring : io_uring {
    explicit open_ring(const driver_options& options)
    {
        io_uring_params params{};
        params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                       IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
        params.cq_entries = 4 * options.entries;
        const int error = io_uring_queue_init_params(options.entries, this, &params);
        if (error < 0)
            throw uring_unavailable(-error, "set up an io_uring");
        try {
            require_operations();
        } catch (...) {
            io_uring_queue_exit(this);
            throw;
        }
        // Saves a file lookup per turn; the ring works without.
        io_uring_register_ring_fd(this);
    }
    ~open_ring() { io_uring_queue_exit(this); }
    open_ring(const open_ring&) = delete;
    open_ring& operator=(const open_ring&) = delete;

private:
    /// Asks for every operation by name: a kernel may be built or patched to offer fewer. Multishot
    /// accept and buffer rings are older than DEFER_TASKRUN, which the set-up asked for.
    void require_operations()
    {
        const std::unique_ptr<io_uring_probe, decltype(&io_uring_free_probe)> known{
            io_uring_get_probe_ring(this), io_uring_free_probe};
        if (!known)
            throw uring_unavailable(EINVAL, "ask io_uring what it can do");
        const auto require = [&known](int opcode) {
            if (!io_uring_opcode_supported(known.get(), opcode))
                throw uring_unavailable(ENOSYS,
                                        "use io_uring without operation " + std::to_string(opcode));
        };
        for (const io_uring_sqe& form : forms)
            require(form.opcode);
        require(IORING_OP_ASYNC_CANCEL);
        require(IORING_OP_CLOSE);
    }
};

}  // namespace whence::inline v0

#pragma once

#include <whence/base/result.hpp>
#include <whence/runtime/buffers.hpp>

#include <cstddef>
#include <system_error>

namespace support {

/// Says what may come of an operation when two things happen at once; the same for every driver.
///
///   a write is cancelled              every byte, or any part of them and operation_canceled
///   a receive is cancelled            bytes, and the stream goes on behind them, or
///                                     operation_canceled, and nothing is lost
///   a reset, one strand waits         connection_reset
///   a reset, reader and writer wait   connection_reset for the one who is told first; the reader
///                                     may then see the end, the writer broken_pipe
struct permitted {
    /// `moved`: what bytes_sent() grew by.
    static bool after_cancelled_write(const std::error_code& error, std::size_t moved,
                                      std::size_t size)
    {
        return error ? error == std::errc::operation_canceled && moved <= size : moved == size;
    }
    static bool writer_after_reset(const std::error_code& error)
    {
        return error == std::errc::connection_reset || error == std::errc::broken_pipe;
    }
    static bool reader_after_reset_beside_writer(const whence::result<whence::chunk>& got)
    {
        return got ? got->size() == 0 : got.error() == std::errc::connection_reset;
    }
};

}  // namespace support

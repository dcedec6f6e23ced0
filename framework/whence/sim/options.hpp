#pragma once

#include <whence/runtime/driver.hpp>

#include <string>
#include <vector>

namespace whence::inline v0::sim {

/// Says how connections between two hosts behave. Chances are from 0 (never) to 1 (always).
struct network_options {
    nanoseconds latency_min = 20us;  // of a segment, one way
    nanoseconds latency_max = 500us;
    u32 segment_size_max = 16 * 1024;  // bytes
    double cut_chance = 0.25;          // a segment ends anywhere, not where it is full
    double stall_chance = 0;  // a segment comes up to stall_max late, and what is behind it
    nanoseconds stall_max = 200ms;
    double reset_chance = 0;   // a connection is reset at one of its first reset_within bytes
    u32 reset_within = 4096;   // bytes of one direction
    double refuse_chance = 0;  // a connect is refused
    double lose_chance = 0;    // what asks for a connection is lost; tried again after 1, 2, 4... s
    u32 send_buffer = 64 * 1024;  // bytes that wait in a sender's system
    u32 receive_buffer = 64 * 1024;
};

/// Says what the system of one host has, and how it behaves.
struct host_options {
    std::vector<std::string> addresses;  // beside 127.0.0.1 and ::1
    u32 descriptors_max = 65536;
    u32 uid = 1000;  // as which its programs run: SO_PEERCRED
    driver_options io = {.buffers_count = 64, .buffer_size = 4096};
    double late_cancel_chance = 0.5;  // a cancellation takes as long as a segment, so it may lose
    double starve_chance = 0;         // a receive finds no buffer, and tries again the next turn
    double short_write_chance = 0;    // stdout or stderr takes only a part
    u64 fail_operation = 0;           // the how-manieth operation fails, from 1; 0: none
    int fail_with = 104;              // ECONNRESET; a positive errno value
};

}  // namespace whence::inline v0::sim

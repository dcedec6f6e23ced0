#!/usr/bin/env python3
"""How many instructions does an echo take outside of the kernel?

usage: ./dev bench instructions [--messages N] [--functions N]

Each server runs under callgrind and echoes N messages on 64 connections, several times over, with a dump
after each: only the steady state counts, without start, accept and close. The median is deterministic up
to about 10: how many messages share a turn of the loop depends on the client. Fails above the limit, on
any machine; --functions shows where they go.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import Server, core_pair, echo_command, start_pinned

CONNECTIONS = 64
RAW_MAX = 190      # a baseline that needs more is none
WHENCE_MAX = 500   # the limit
WHENCE_GOAL, WHENCE_STRETCH = 420, 350
STEPS = 5
IDLE_SECONDS = 0.2
STEP_SECONDS_MAX = 120


def strip(program, into):
    """A copy without debug information: valgrind 3.19 cannot read clang's DWARF 5."""
    copy = Path(into) / program.name
    subprocess.run(["objcopy", "--strip-debug", program, copy], check=True)
    return copy


def cpu_ns(pid):
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def wait_until_idle(pid):
    before = -1
    while (now := cpu_ns(pid)) != before:
        before = now
        time.sleep(IDLE_SECONDS)


def dump(server, number, out):
    """Writes what has been counted since the last dump, and counts from zero."""
    wait_until_idle(server.pid)
    subprocess.run(["callgrind_control", "-d", str(server.pid)], check=True, capture_output=True,
                   timeout=STEP_SECONDS_MAX)
    return out.with_name(f"{out.name}.{number}")


def profile(command, load, messages, directory):
    """Echoes under callgrind; gives a dump for each time."""
    out = Path(directory) / "callgrind"
    valgrind = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}",
                strip(command[0], directory), *command[1:]]
    cores = core_pair()
    with Server(valgrind, cores[0], log=None) as server:
        client = start_pinned([load, server.address, "--connections", CONNECTIONS, "--messages", messages],
                              {cores[1]}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        dump(server, 1, out)  # the start and the accepts
        dumps = []
        for number in range(STEPS):
            client.stdin.write("\n")
            client.stdin.flush()
            if not client.stdout.readline():
                raise RuntimeError("the load failed")
            dumps.append(dump(server, number + 2, out))
        client.communicate(timeout=STEP_SECONDS_MAX)
        return dumps


def total(dump_file):
    return int(re.search(r"^(?:totals|summary): (\d+)", dump_file.read_text(), re.M)[1])


def by_function(dump_file):
    """Each function's own instructions, from callgrind's file: a cost line belongs to the last fn=, but the
    one behind calls= is what the callee took."""
    names, costs, current, callee = {}, {}, "", False
    for line in dump_file.read_text().splitlines():
        if name := re.match(r"c?fn=(\(\d+\))(?: (.*))?", line):
            names[name[1]] = name[2] or names[name[1]]
            if line.startswith("fn="):
                current = names[name[1]]
        elif line.startswith("calls="):
            callee = True
        elif cost := re.match(r"[-+*\d]\d* (\d+)$", line):
            if not callee:
                costs[current] = costs.get(current, 0) + int(cost[1])
            callee = False
    return costs


def measure(command, load, options):
    """The median of instructions per echo, and what each function has of them."""
    with tempfile.TemporaryDirectory() as directory:
        dumps = sorted(profile(command, load, options.messages, directory), key=total)
        middle = dumps[len(dumps) // 2]
        functions = sorted(((cost / options.messages, name) for name, cost in by_function(middle).items()),
                           reverse=True)
        return total(middle) / options.messages, functions


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build_dir", type=Path)
    parser.add_argument("--messages", type=int, default=16_000)
    parser.add_argument("--functions", type=int, default=0, help="list this many of the dearest")
    options = parser.parse_args()
    print(f"user instructions per echo, 64 B, {CONNECTIONS} connections, callgrind")
    print(f"  {'server':20} {'measured':>9}   limit   goal  stretch")
    good = True
    for name, command, limit, goals in (
            ("raw io_uring", [options.build_dir / "bench/echo_raw"], RAW_MAX, ""),
            ("whence", echo_command(options.build_dir), WHENCE_MAX, f" {WHENCE_GOAL:6} {WHENCE_STRETCH:8}")):
        count, functions = measure(command, options.build_dir / "bench/load", options)
        verdict = "" if count <= limit else "   ABOVE THE LIMIT"
        print(f"  {name:20} {count:9.1f} {limit:7}{goals}{verdict}", flush=True)
        for cost, function in functions[:options.functions]:
            print(f"    {cost:7.1f}  {function[:100]}")
        good = good and count <= limit
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

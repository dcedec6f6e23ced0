#!/usr/bin/env python3
"""How many instructions does an echo take outside of the kernel?

usage: ./dev bench instructions [--messages N] [--functions N]

Each server runs under callgrind and echoes N messages to 64 connections, then 2N to another 64; the
difference divided by N is the steady state, without start, accept and close. It is deterministic up to
about 20: how many messages share a turn of the loop depends on the client. Fails above the limit, on any
machine; --functions shows where they go.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import Server, core_pair, start_pinned

CONNECTIONS = 64
RAW_MAX = 190      # a baseline that needs more is none
WHENCE_MAX = 500   # the limit
WHENCE_GOAL, WHENCE_STRETCH = 420, 350
IDLE_SECONDS = 0.3
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


class Profile:
    """Runs a server under callgrind and takes a dump per step."""

    def __init__(self, program, directory):
        self.out = Path(directory) / f"{program.name}.callgrind"
        valgrind = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={self.out}",
                    strip(program, directory)]
        self.server = Server(valgrind, core_pair()[0], log=None)
        self.steps = 0

    def step(self, load, messages):
        """Echoes some messages; gives the dump's file."""
        if messages:
            client = start_pinned([load, self.server.address, "--connections", CONNECTIONS,
                                   "--messages", messages], {core_pair()[1]}, stdout=subprocess.DEVNULL)
            if client.wait(STEP_SECONDS_MAX) != 0:
                raise RuntimeError("the load failed")
        wait_until_idle(self.server.pid)
        subprocess.run(["callgrind_control", "-d", str(self.server.pid)], check=True, capture_output=True,
                       timeout=STEP_SECONDS_MAX)
        self.steps += 1
        return self.out.with_name(f"{self.out.name}.{self.steps}")


def total(dump):
    return int(re.search(r"^(?:totals|summary): (\d+)", dump.read_text(), re.M)[1])


def by_function(dump):
    """Each function's own instructions, from callgrind's file: a cost line belongs to the last fn=, but the
    one behind calls= is what the callee took."""
    names, costs, current, callee = {}, {}, "", False
    for line in dump.read_text().splitlines():
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


def cost_by_function(first, second, messages):
    once, twice = by_function(first), by_function(second)
    costs = (((twice[name] - once.get(name, 0)) / messages, name) for name in twice)
    return sorted(costs, reverse=True)


def measure(program, load, options):
    """Instructions per echo, and what each function has of them."""
    with tempfile.TemporaryDirectory() as directory:
        profile = Profile(program, directory)
        with profile.server:
            profile.step(load, 0)  # what the start took
            first = profile.step(load, options.messages)
            second = profile.step(load, 2 * options.messages)
        functions = cost_by_function(first, second, options.messages) if options.functions else []
        return (total(second) - total(first)) / options.messages, functions


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build_dir", type=Path)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--functions", type=int, default=0, help="list this many of the dearest")
    options = parser.parse_args()
    print(f"user instructions per echo, 64 B, {CONNECTIONS} connections, callgrind")
    print(f"  {'server':20} {'measured':>9}   limit   goal  stretch")
    good = True
    for name, path, limit, goals in (
            ("raw io_uring", "bench/echo_raw", RAW_MAX, ""),
            ("whence", "examples/echo", WHENCE_MAX, f" {WHENCE_GOAL:6} {WHENCE_STRETCH:8}")):
        count, functions = measure(options.build_dir / path, options.build_dir / "bench/load", options)
        verdict = "" if count <= limit else "   ABOVE THE LIMIT"
        print(f"  {name:20} {count:9.1f} {limit:7}{goals}{verdict}", flush=True)
        for cost, function in functions[:options.functions]:
            print(f"    {cost:7.1f}  {function[:100]}")
        good = good and count <= limit
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

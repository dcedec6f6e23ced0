#!/usr/bin/env python3
"""How much processor time does an echo cost, compared with the least that a program on io_uring can do?

usage: ./dev bench echo [--driver io_uring|asio] [--rounds N] [--connections N,N...] [--size BYTES,BYTES...] [--seconds S]

Servers: examples/echo; the baseline bench/echo_raw, started twice; bench/echo_asio (epoll). All share one
core, the load has the other one. In every round they take turns in random order, a slice each; ratios are
taken inside the round, against the mean of the two baselines. The two against each other (A/A) tell what
the machine can resolve: if their median leaves 0.97..1.03, the setting is measured again.

A ratio is processor time per message, server over baseline: more is worse. The load's core saturates as
well, so messages a second understate differences.
"""

import argparse
import json
import random
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from harness import Server, core_pair, echo_command, quartiles, spread, start_pinned

AA_RANGE = (0.97, 1.03)
ATTEMPTS_MAX = 3
SLICE_SECONDS_MAX = 60
UNDECIDED = 3      # exit status: the machine was never quiet enough


class Comparison:
    """Which server is judged against which, and what else runs for the eye."""

    def __init__(self, base, base_command, whence, whence_command, other, other_command, ratio_max, ratio_goal):
        self.base, self.again, self.whence, self.other = base, f"{base} (A/A)", whence, other
        self.commands = {base: base_command, self.again: base_command, whence: whence_command, other: other_command}
        self.ratio_max, self.ratio_goal = ratio_max, ratio_goal


def comparison(build_dir, driver):
    asio = [build_dir / "bench/echo_asio"]
    if driver == "asio":
        return Comparison("Asio coroutines", asio, "whence on asio", echo_command(build_dir, "asio"),
                          "whence on io_uring", echo_command(build_dir), ratio_max=1.05, ratio_goal=1.05)
    return Comparison("raw io_uring", [build_dir / "bench/echo_raw"], "whence", echo_command(build_dir),
                      "Asio, epoll", asio, ratio_max=1.08, ratio_goal=1.03)


def measure_slice(load, server, core, connections, size, seconds):
    """Loads one server for a while; gives nanoseconds per message and what the load saw."""
    process = start_pinned([load, server.address, "--connections", connections, "--size", size,
                            "--seconds", seconds, "--server", server.pid], {core},
                           stdout=subprocess.PIPE, text=True)
    output, _ = process.communicate(timeout=SLICE_SECONDS_MAX)
    if process.returncode != 0:
        raise RuntimeError(f"the load ended with status {process.returncode}")
    seen = json.loads(output)
    return {"ns": seen["server_ns"] / seen["messages"], "rate": seen["messages"] / seen["seconds"],
            "p50_us": seen["p50_us"], "p99_us": seen["p99_us"]}


def measure_rounds(build_dir, options, compared, connections, size):
    server_core, load_core = core_pair()
    load = build_dir / "bench/load"
    rounds = []
    with ExitStack() as running:
        servers = {name: running.enter_context(Server(command, server_core))
                   for name, command in compared.commands.items()}
        for _ in range(options.rounds):
            order = random.sample(list(servers), len(servers))
            rounds.append({name: measure_slice(load, servers[name], load_core, connections, size,
                                               options.seconds) for name in order})
    return rounds


def ratios(rounds, compared, name):
    """Of each round, to the mean of the two baselines; a baseline's to the other one."""
    if name == compared.again:
        return [row[name]["ns"] / row[compared.base]["ns"] for row in rounds]
    return [row[name]["ns"] / ((row[compared.base]["ns"] + row[compared.again]["ns"]) / 2) for row in rounds]


def print_setting(rounds, compared, connections, size):
    print(f"{size} B, {connections} connections, {len(rounds)} rounds"
          f"{'':20}median [quartiles]")
    print(f"  {'server':20} {'us per message':>22} {'ratio to the first':>24}   limit   goal "
          f"{'messages/s':>11} {'p50 us':>8} {'p99 us':>8}")
    for name in compared.commands:
        limits = (f"{compared.ratio_max:7.2f} {compared.ratio_goal:6.2f}" if name == compared.whence else
                  f"{'':7} {'':6}")
        ratio = "" if name == compared.base else spread(ratios(rounds, compared, name))
        middle = {key: quartiles([row[name][key] for row in rounds])[1]
                  for key in ("rate", "p50_us", "p99_us")}
        micros = spread([row[name]["ns"] / 1000 for row in rounds], 2)
        print(f"  {name:20} {micros:>22} {ratio:>24} {limits} {middle['rate']:11.0f} "
              f"{middle['p50_us']:8.0f} {middle['p99_us']:8.0f}")


def measure_setting(build_dir, options, compared, connections, size):
    def median(name):
        return quartiles(ratios(rounds, compared, name))[1]

    for attempt in range(1, ATTEMPTS_MAX + 1):
        rounds = measure_rounds(build_dir, options, compared, connections, size)
        print_setting(rounds, compared, connections, size)
        same, ratio = median(compared.again), median(compared.whence)
        if AA_RANGE[0] <= same <= AA_RANGE[1]:
            kept = ratio <= compared.ratio_max
            print(f"  {compared.whence} costs {ratio:.3f} of {compared.base}, {compared.other} "
                  f"{median(compared.other) / ratio:.2f} of {compared.whence}: "
                  f"{'within the limit' if kept else 'ABOVE THE LIMIT'}\n", flush=True)
            return 0 if kept else 1
        print(f"  the baseline against itself: {same:.3f}; too noisy to tell"
              f"{', once more' if attempt < ATTEMPTS_MAX else ''}\n", flush=True)
    return UNDECIDED


def numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build_dir", type=Path)
    parser.add_argument("--driver", choices=("io_uring", "asio"), default="io_uring")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--connections", type=numbers, default=[64, 1000])
    parser.add_argument("--size", type=numbers, default=[64])
    parser.add_argument("--seconds", type=float, default=0.25, help="length of a slice")
    options = parser.parse_args()
    compared = comparison(options.build_dir, options.driver)
    outcomes = [measure_setting(options.build_dir, options, compared, connections, size)
                for size in options.size for connections in options.connections]
    sys.exit(1 if 1 in outcomes else max(outcomes))


if __name__ == "__main__":
    main()

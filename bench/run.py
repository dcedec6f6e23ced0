#!/usr/bin/env python3
"""Runs the benchmarks, one after the other, and sums up which kept their limits.

usage: bench/run.py BUILD_DIR [NAME [OPTION...]]

NAME: one of the list below; OPTION: passed on to it (`echo --rounds 60`). What is measured and how is
written in docs/benchmarks.md.
"""

import sys
import time
from pathlib import Path

from harness import core_pair, print_machine, start_pinned

HERE = Path(__file__).resolve().parent

# In this order: what is deterministic first, what wants a quiet machine last.
BENCHMARKS = {
    "header": ["{build}/bench/header"],
    "outbox": ["{build}/bench/outbox"],
    "simulation": ["{build}/bench/simulation"],
    "primitives": ["{build}/bench/primitives"],
    "allocations": ["{build}/bench/allocations"],
    "memory": ["{build}/bench/memory"],
    "instructions": [sys.executable, HERE / "instructions.py", "{build}"],
    "echo": [sys.executable, HERE / "echo.py", "{build}"],
    "echo_asio_driver": [sys.executable, HERE / "echo.py", "{build}", "--driver", "asio"],
}

WORDS = {0: "ok", 1: "MISSED A LIMIT", 3: "too noisy to tell"}  # what exit statuses mean


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build_dir, names = sys.argv[1], sys.argv[2:3] or list(BENCHMARKS)
    if names[0] not in BENCHMARKS:
        sys.exit(f"there is no benchmark '{names[0]}'; there are: {', '.join(BENCHMARKS)}")
    print_machine(build_dir, ["./dev", "bench", *sys.argv[2:]])
    cores = set(core_pair())
    outcomes = []
    for name in names:
        print(f"==== {name}", flush=True)
        begin = time.monotonic()
        command = [str(part).format(build=build_dir) for part in BENCHMARKS[name]]
        status = start_pinned([*command, *sys.argv[3:]], cores).wait()
        outcomes.append((name, status, time.monotonic() - begin))
        print(flush=True)
    for name, status, seconds in outcomes:
        print(f"{name:14} {WORDS.get(status, 'FAILED'):24} {seconds:5.0f} s")
    sys.exit(0 if all(status == 0 for _, status, _ in outcomes) else 1)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Runs the program of docs/simulation.md: its first two tries must fail under some seed, the third under none.

usage: tests/docs/simulation.py PROGRAM
"""

import subprocess
import sys

SEEDS = "1000"
EXPECTED = {"1": 'which nobody ordered', "2": 'which nobody ordered', "3": f"{SEEDS} seeds, nothing found"}

passed = failed = 0
for attempt, wanted in EXPECTED.items():
    printed = subprocess.run([sys.argv[1], attempt, "1", SEEDS], capture_output=True, text=True, timeout=120).stdout
    print(f"orders {attempt} 1 {SEEDS}: {printed}", end="")
    if wanted in printed:
        passed += 1
    else:
        failed += 1
print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)

#!/usr/bin/env python3
"""Breaks the framework on purpose, one mutation at a time, and tells which seeds and tests notice.

usage: tools/mutate.py [--seeds N] [PART_OF_A_NAME...]

Works in a copy of the checkout, build/mutations/tree; the checkout itself is only read. For each mutation
(tools/mutations.py) it builds what is needed, plays N seeds (300) of every scenario, and runs test programs,
those that should know first, until two tests have failed. Prints a table; status 1 when nothing caught one.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mutations import MUTATIONS, PROGRAMS

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from run import Outcome, count_catch2, kill_group  # noqa: E402

TREE = ROOT / "build/mutations/tree"
BUILD = ROOT / "build/mutations/build"
SCENARIOS = ["whoami", "echo", "limits"]
SCENARIO_SECONDS_MAX = 60
CRASHES_MAX = 5  # of one scenario: each ends the process, and the seeds behind it are played by another
PROGRAM_SECONDS_MAX = 120
BUILD_SECONDS_MAX = 1200
CATCHERS_WANTED = 2
FAILED = re.compile(r"^FAILED  (\w+), seed (\d+): (.*)$", re.M)


def copy_tree():
    """Brings the copy up to date; what has not changed keeps its time, so that it is not built again."""
    listing = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                             capture_output=True).stdout.decode().split("\0")
    wanted = {name for name in listing if name and (ROOT / name).is_file()}
    for name in wanted:
        source, copy = ROOT / name, TREE / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        content = source.read_bytes()
        if not copy.exists() or copy.read_bytes() != content:
            copy.write_bytes(content)
            copy.chmod(source.stat().st_mode)
    for copy in TREE.rglob("*"):
        if copy.is_file() and not copy.is_symlink() and str(copy.relative_to(TREE)) not in wanted:
            copy.unlink()
    if (ROOT / ".deps").exists() and not (TREE / ".deps").exists():
        (TREE / ".deps").symlink_to(ROOT / ".deps")


def run_bounded(command, seconds, **options):
    """Returns the status, None after that time, and what the command has printed."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.STDOUT, errors="replace", start_new_session=True, **options)
    try:
        printed, _ = process.communicate(timeout=seconds)
        return process.returncode, printed
    except subprocess.TimeoutExpired:
        kill_group(process)
        return None, process.communicate()[0]
    finally:
        kill_group(process)


def must(command, seconds=BUILD_SECONDS_MAX):
    status, printed = run_bounded(command, seconds)
    if status != 0:
        sys.exit(f"mutate: {' '.join(map(str, command))} ended with {status}:\n{printed[-4000:]}")


def configure():
    os.environ.setdefault("CCACHE_BASEDIR", str(TREE))
    os.environ.setdefault("CCACHE_NOHASHDIR", "1")
    if (BUILD / "build.ninja").exists():
        return
    compiler = os.environ.get("CXX", "clang++-19")
    must(["cmake", "-S", TREE, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
          f"-DCMAKE_CXX_COMPILER={compiler}", "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -g1"])


def build(target):
    must(["cmake", "--build", BUILD, "-j", os.environ.get("JOBS", str(os.cpu_count())), "--target", target])


class Mutated:
    """Holds one mutation in the copy."""

    def __init__(self, mutation):
        self.mutation = mutation
        self.path = TREE / "framework/whence" / mutation.file

    def __enter__(self):
        self.text = self.path.read_text()
        found = self.text.count(self.mutation.find)
        if found != 1:
            sys.exit(f"mutate: \"{self.mutation.name}\": its text is {found} times in {self.mutation.file}")
        self.path.write_text(self.text.replace(self.mutation.find, self.mutation.put))

    def __exit__(self, *_):
        self.path.write_text(self.text)


def play(scenario, seeds):
    """Returns the seeds that found something, and whether all were played."""
    failed, first, crashes, end = [], 1, 0, time.monotonic() + SCENARIO_SECONDS_MAX
    while first <= seeds:
        status, printed = run_bounded([BUILD / "tests/sim_seeds", "--scenario", scenario, "--seed", str(first),
                                       "--seeds", str(seeds - first + 1)], max(end - time.monotonic(), 1))
        found = [int(seed) for _, seed, _ in FAILED.findall(printed)]
        failed += found
        if status in (0, 1):
            return failed, True
        if status is None or not found:
            return failed, False
        crashes += 1
        if crashes == CRASHES_MAX:
            return failed, False
        first = found[-1] + 1
    return failed, True


def play_all(seeds):
    """Returns what the seeds found, in words; empty: nothing."""
    build("sim_seeds")
    told = []
    for scenario in SCENARIOS:
        failed, whole = play(scenario, seeds)
        if failed:
            told.append(f"{scenario}: {len(failed)}{'' if whole else ' or more'}, seed {failed[0]} first")
        elif not whole:
            told.append(f"{scenario}: does not end")
    return "; ".join(told)


def run_program(program, driver, arguments):
    """Returns the names of the tests that failed."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = [BUILD / f"tests/test_{program}", "-r", f"xml::out={report.name}", *arguments]
        environment = {**os.environ, **({"WHENCE_TEST_DRIVER": driver} if driver else {})}
        status, _ = run_bounded(command, PROGRAM_SECONDS_MAX, env=environment, cwd=BUILD)
        outcome = Outcome()
        count_catch2(Path(report.name).read_text(errors="replace"), outcome)
    if status != 0 and not outcome.failures:
        outcome.failures.append(f"test_{program} ends")
    return outcome.failures


def failing_tests(program, driver, leave_out):
    """Returns the tests that fail, and fail again alone: a slow moment of the machine is no catch."""
    failed = run_program(program, driver, ["--abortx", str(CATCHERS_WANTED), *leave_out])
    alone = [re.sub(r'([\\,\[\]*"~])', r"\\\1", name) for name in failed]
    return [name for name, only in zip(failed, alone)
            if name.startswith("test_") or run_program(program, driver, [only])]


def programs_for(mutation):
    """Those that should know come first."""
    known = [row for name in mutation.programs for row in PROGRAMS if row[0] == name]
    return known + [row for row in PROGRAMS if row not in known]


def run_tests(mutation):
    """Returns up to two tests that fail, each with its driver."""
    caught = []
    for program, driver, leave_out in programs_for(mutation):
        build(f"test_{program}")
        for name in failing_tests(program, driver, leave_out):
            if name not in [each for each, _ in caught]:
                caught.append((name, driver))
        if len(caught) >= CATCHERS_WANTED:
            break
    return [name + (f" ({driver})" if driver else "") for name, driver in caught[:CATCHERS_WANTED]]


def check_unbroken(seeds):
    """What fails anyway would be taken for a catch."""
    found = play_all(seeds)
    for program, driver, leave_out in [] if found else PROGRAMS:
        build(f"test_{program}")
        found = found or "; ".join(failing_tests(program, driver, leave_out))
    if found:
        sys.exit(f"mutate: with nothing broken this fails: {found}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("wanted", nargs="*", metavar="PART_OF_A_NAME")
    arguments = parser.parse_args()
    chosen = [one for one in MUTATIONS
              if not arguments.wanted or any(part in one.name for part in arguments.wanted)]
    if not chosen:
        sys.exit("mutate: no mutation has such a name")
    copy_tree()
    configure()
    check_unbroken(arguments.seeds)
    print("| mutation | seeds | tests |\n|---|---|---|", flush=True)
    missed = 0
    for mutation in chosen:
        with Mutated(mutation):
            by_seeds = play_all(arguments.seeds)
            by_tests = run_tests(mutation)
        missed += not by_seeds and not by_tests
        print(f"| {mutation.name} | {by_seeds or '-'} | {'; '.join(by_tests) or '-'} |", flush=True)
    print(f"{len(chosen) - missed} caught, {missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

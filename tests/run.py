#!/usr/bin/env python3
"""Runs the tests that CTest knows in one build directory and counts their cases.

usage: tests/run.py BUILD_DIR [FILTER]

A Catch2 program (label catch2) is counted by its XML report; its arguments are what it leaves out. A script with the label cases takes the filter
and ends in the line `N passed, N failed`. Any other test is a single case, by its exit status.
FILTER: the name of one test (`base`), a Catch2 test specification (`[tag]`, `name*`), or part of a name.

A crash, a missed deadline, a leak found at exit, a skipped case and a program without any case are
failures. The last line is `N passed, N failed`; the exit status says the same.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.sax.saxutils as escapes
from pathlib import Path

DEADLINE_SECONDS = 300
OUTPUT_SIZE_MAX = 400_000
SANITIZER_DEFAULTS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:check_initialization_order=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1",
}
TOTAL = re.compile(r"^(\d+) passed, (\d+) failed$")


class Outcome:
    def __init__(self):
        self.passed = 0
        self.failures = []  # names, for the summary
        self.output = ""


def known_tests(build_dir):
    """What add_test() registered, in CTest's own order."""
    listing = subprocess.run(["ctest", "--test-dir", build_dir, "--show-only=json-v1"],
                             check=True, capture_output=True, text=True).stdout
    for test in json.loads(listing)["tests"]:
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        yield {
            "name": test["name"],
            "command": test.get("command", []),
            "labels": properties.get("LABELS", []),
            "cwd": properties.get("WORKING_DIRECTORY", build_dir),
            "deadline": float(properties.get("TIMEOUT", DEADLINE_SECONDS)),
            "environment": dict(e.split("=", 1) for e in properties.get("ENVIRONMENT", [])),
        }


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_bounded(command, test, output):
    """Runs a command in a process group of its own. Returns its status, or None after the deadline."""
    environment = {**SANITIZER_DEFAULTS, **os.environ, **test["environment"]}
    process = subprocess.Popen(command, cwd=test["cwd"], env=environment, stdin=subprocess.DEVNULL,
                               stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        return process.wait(timeout=test["deadline"])
    except subprocess.TimeoutExpired:
        return None
    finally:
        kill_group(process)  # also what the test started and did not end
        process.wait()


def how_it_ended(status, deadline):
    if status is None:
        return f"did not end within {deadline:.0f} s"
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"exited with status {status}"


def test_specification(pattern):
    """A word without Catch2's own syntax means `any case whose name contains it`."""
    return pattern if re.search(r"[\[\]*~,\"]", pattern) else f"*{pattern}*"


def count_catch2(report, outcome):
    """Counts case by case, so that a report which a crash cut short still tells what passed."""
    for block in report.split("<TestCase ")[1:]:
        name = re.search(r'name="([^"]*)"', block)
        name = escapes.unescape(name.group(1), {"&quot;": '"'}) if name else "?"
        result = re.search(r"<OverallResult\b[^>]*>", block)
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', result.group(0))) if result else {}
        if attributes.get("skips", "0") != "0":
            outcome.failures.append(f"{name} (skipped)")
        elif attributes.get("success") == "true":
            outcome.passed += 1
        else:
            outcome.failures.append(name)


def run_catch2(test, pattern, log, outcome):
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        left_out = [part for part in test["command"] if part.startswith("~[")]
        program = [part for part in test["command"] if part not in left_out]
        command = [*program, "-r", "console", "-r", f"xml::out={report.name}", "--allow-running-no-tests"]
        wanted = test_specification(pattern).split(",") if pattern else [""] if left_out else []
        if wanted:  # alternatives; what stands side by side must hold together
            command.append(",".join(one + "".join(left_out) for one in wanted))
        status = run_bounded(command, test, log)
        count_catch2(Path(report.name).read_text(errors="replace"), outcome)
    if status != 0 and not outcome.failures:
        outcome.failures.append(f"the program {how_it_ended(status, test['deadline'])}")
    return status


def run_script(test, pattern, log, outcome):
    status = run_bounded([*test["command"], *([pattern] if pattern else [])], test, log)
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()
    total = TOTAL.match(lines[-1]) if lines else None
    if total:
        outcome.passed = int(total.group(1))
        outcome.failures += ["a case (see its output)"] * int(total.group(2))
    if not outcome.failures and (status != 0 or not total):
        outcome.failures.append(f"the script {how_it_ended(status, test['deadline'])}"
                                + ("" if total else ", without a total"))
    return status


def run_single_case(test, pattern, log, outcome):
    if pattern and pattern not in test["name"]:
        return 0
    status = run_bounded(test["command"], test, log)
    if status == 0:
        outcome.passed = 1
    else:
        outcome.failures.append(f"the test {how_it_ended(status, test['deadline'])}")
    return status


KINDS = {"catch2": run_catch2, "cases": run_script}


def run_test(test, pattern):
    outcome = Outcome()
    if not test["command"]:  # CTest leaves out what does not exist
        outcome.failures.append("cannot start: the program is not built")
        return outcome
    with tempfile.TemporaryFile() as log:
        try:
            run = next((KINDS[label] for label in test["labels"] if label in KINDS), run_single_case)
            status = run(test, pattern, log, outcome)
        except OSError as error:
            outcome.failures.append(f"cannot start: {error}")
            return outcome
        if status is None or status < 0:
            outcome.failures[-1] += f" [{how_it_ended(status, test['deadline'])}]"
        if outcome.failures:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - OUTPUT_SIZE_MAX))
            outcome.output = log.read().decode(errors="replace")
    if not outcome.passed and not outcome.failures and not pattern:
        outcome.failures.append("it holds no test case")
    return outcome


def main(build_dir, pattern=None):
    tests = list(known_tests(build_dir))
    if pattern in [test["name"] for test in tests]:
        tests, pattern = [test for test in tests if test["name"] == pattern], None
    passed, failures = 0, []
    for test in tests:
        begin = time.monotonic()
        outcome = run_test(test, pattern)
        if outcome.passed or outcome.failures:
            print(outcome.output, end="" if outcome.output.endswith("\n") or not outcome.output else "\n")
            print(f"{test['name']:24} {time.monotonic() - begin:7.2f} s  {outcome.passed} passed, "
                  f"{len(outcome.failures)} failed", flush=True)
        passed += outcome.passed
        failures += [f"{test['name']}: {name}" for name in outcome.failures]
    if not passed and not failures:
        failures.append(f"no test matches '{pattern}'" if pattern else "there is no test")
    if failures:
        print("\nfailed:", *failures, sep="\n  ")
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no test outlives the runner
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

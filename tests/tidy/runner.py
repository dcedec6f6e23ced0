#!/usr/bin/env python3
"""Checks tests/run.py: what it counts, and that it cannot be fooled by crashes, hangs and silence."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

RUNNER = Path(__file__).resolve().parents[1] / "run.py"
WRITE_REPORT = """
import sys
report = next(a for a in sys.argv if a.startswith("xml::out=")).removeprefix("xml::out=")
open(report, "w").write({!r})
"""
GOOD = '<TestCase name="a &quot;b&quot;"><OverallResult success="true" skips="0"/></TestCase>'
BAD = '<TestCase name="c &lt; d"><OverallResult success="false" skips="0"/></TestCase>'
CUT = '<TestCase name="cut short"><Section name="x">'
SKIPPED = '<TestCase name="left out"><OverallResult success="true" skips="1"/></TestCase>'


def catch2(report, then=""):
    return WRITE_REPORT.format(report) + then


# what it is, is it a Catch2 program, its Python text, the expected last line, what must be in the output
CASES = [
    ("a script's own total counts", False, "print('3 passed, 0 failed')", "3 passed, 0 failed", ""),
    ("a script's failures count", False, "print('why')\nprint('3 passed, 2 failed')\nexit(1)",
     "3 passed, 2 failed", "why"),
    ("a script without a total is one case", False, "print('fine')", "1 passed, 0 failed", ""),
    ("a script that fails without a total is named", False, "exit(7)", "0 passed, 1 failed",
     "exited with status 7"),
    ("a total does not hide a bad exit", False, "print('3 passed, 0 failed')\nexit(1)", "3 passed, 1 failed", ""),
    ("a script without any case fails", False, "print('0 passed, 0 failed')", "0 passed, 1 failed",
     "no test case"),
    ("a hang is ended", False,
     "import subprocess\nprint('waiting', flush=True)\nsubprocess.run(['sleep', '60'])",
     "0 passed, 1 failed", "did not end within 1 s"),
    ("a program that cannot start fails", None, "", "0 passed, 1 failed", "cannot start"),
    ("Catch2 cases are counted one by one", True, catch2(GOOD + BAD, "print('details')\nexit(1)"),
     "1 passed, 1 failed", "c < d"),
    ("the output of a failed program is shown", True, catch2(BAD, "print('details')\nexit(1)"),
     "0 passed, 1 failed", "details"),
    ("a crash keeps what passed and names the case", True,
     catch2(GOOD + CUT, "import os, signal\nos.kill(os.getpid(), signal.SIGABRT)"),
     "1 passed, 1 failed", "cut short [was ended by SIGABRT]"),
    ("a leak found at exit fails", True, catch2(GOOD, "exit(23)"), "1 passed, 1 failed", "status 23"),
    ("a skipped case fails", True, catch2(GOOD + SKIPPED), "1 passed, 1 failed", "left out (skipped)"),
    ("a Catch2 program without cases fails", True, catch2(""), "0 passed, 1 failed", "no test case"),
]


def run(folder, catch2_program, text, *arguments):
    """Runs the runner over one made-up test, registered as CTest would find it."""
    script = folder / "program.py"
    script.write_text(text)
    command = "/nonexistent/program" if catch2_program is None else sys.executable
    label = ' LABELS "catch2"' if catch2_program else ""
    (folder / "CTestTestfile.cmake").write_text(
        f'add_test(one "{command}" "{script}")\n'
        f"set_tests_properties(one PROPERTIES TIMEOUT 1{label})\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CTEST")}
    return subprocess.run([sys.executable, RUNNER, folder, *arguments], capture_output=True, text=True,
                          timeout=60, env=environment)


def check(name, result, total, status, wanted):
    lines = result.stdout.splitlines()
    fine = lines and lines[-1] == total and result.returncode == status and wanted in result.stdout
    print(f"{'ok' if fine else 'FAILED':8}{name}")
    if not fine:
        print(f"        status {result.returncode}, wanted {total!r} and {wanted!r} in:\n{result.stdout}{result.stderr}")
    return bool(fine)


def main():
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="whence-runner-") as temporary:
        folder = Path(temporary)
        for name, catch2_program, text, total, wanted in CASES:
            status = 0 if total.endswith(" 0 failed") else 1
            outcomes.append(check(name, run(folder, catch2_program, text), total, status, wanted))
        silent = catch2("")
        outcomes.append(check("a filter that matches nothing fails", run(folder, True, silent, "nobody"),
                              "0 passed, 1 failed", 1, "no test matches 'nobody'"))
        words = catch2(GOOD, "assert sys.argv[-1] == '*a word*', sys.argv")
        outcomes.append(check("a word becomes a part of a name", run(folder, True, words, "a word"),
                              "1 passed, 0 failed", 0, ""))
        tag = catch2(GOOD, "assert sys.argv[-1] == '[net]', sys.argv")
        outcomes.append(check("a tag is passed on", run(folder, True, tag, "[net]"), "1 passed, 0 failed", 0, ""))
    print(f"{sum(outcomes)} passed, {len(outcomes) - sum(outcomes)} failed")
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())

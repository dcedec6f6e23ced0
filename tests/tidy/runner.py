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


# what it is, the test's label, its Python text, the expected last line, what must be in the output
CASES = [
    ("a script's own total counts", "cases", "print('3 passed, 0 failed')", "3 passed, 0 failed", ""),
    ("a script's failures count", "cases", "print('why')\nprint('3 passed, 2 failed')\nexit(1)",
     "3 passed, 2 failed", "why"),
    ("a script that ends without a total fails", "cases", "print('fine')", "0 passed, 1 failed",
     "exited with status 0, without a total"),
    ("a total does not hide a bad exit", "cases", "print('3 passed, 0 failed')\nexit(1)",
     "3 passed, 1 failed", ""),
    ("a script without any case fails", "cases", "print('0 passed, 0 failed')", "0 passed, 1 failed",
     "no test case"),
    ("a single case passes by its exit", "", "print('fine')", "1 passed, 0 failed", ""),
    ("a single case fails by its exit", "", "exit(7)", "0 passed, 1 failed", "exited with status 7"),
    ("a hang is ended", "", "import subprocess\nsubprocess.run(['sleep', '60'])", "0 passed, 1 failed",
     "did not end within 1 s"),
    ("a program that is not built fails", "not built", "", "0 passed, 1 failed", "cannot start"),
    ("Catch2 cases are counted one by one", "catch2", catch2(GOOD + BAD, "print('details')\nexit(1)"),
     "1 passed, 1 failed", "c < d"),
    ("the output of a failed program is shown", "catch2", catch2(BAD, "print('details')\nexit(1)"),
     "0 passed, 1 failed", "details"),
    ("a crash keeps what passed and names the case", "catch2",
     catch2(GOOD + CUT, "import os, signal\nos.kill(os.getpid(), signal.SIGABRT)"),
     "1 passed, 1 failed", "cut short [was ended by SIGABRT]"),
    ("a leak found at exit fails", "catch2", catch2(GOOD, "exit(23)"), "1 passed, 1 failed", "status 23"),
    ("a skipped case fails", "catch2", catch2(GOOD + SKIPPED), "1 passed, 1 failed", "left out (skipped)"),
    ("a Catch2 program without cases fails", "catch2", catch2(""), "0 passed, 1 failed", "no test case"),
]


def expecting_filter(expected, report=GOOD):
    return catch2(report, f"assert sys.argv[-1] == {expected!r}, sys.argv")


# the same with a filter before the expected last line
FILTERED = [
    ("a filter that matches nothing fails", "catch2", catch2(""), "nobody", "0 passed, 1 failed",
     "no test matches 'nobody'"),
    ("a filter leaves other single cases out", "", "exit(7)", "nobody", "0 passed, 1 failed", "no test matches"),
    ("a test's name selects it whole", "", "print('fine')", "one", "1 passed, 0 failed", ""),
    ("a word becomes a part of a name", "catch2", expecting_filter("*a word*"), "a word", "1 passed, 0 failed", ""),
    ("a tag is passed on", "catch2", expecting_filter("[net]"), "[net]", "1 passed, 0 failed", ""),
    ("a script gets the filter", "cases", "import sys\nprint(f'{len(sys.argv) - 1} passed, 0 failed')", "[net]",
     "1 passed, 0 failed", ""),
]


def run(folder, label, text, *arguments):
    """Runs the runner over one made-up test, registered as CTest would find it."""
    script = folder / "program.py"
    script.write_text(text)
    command = "/nonexistent/program" if label == "not built" else sys.executable
    (folder / "CTestTestfile.cmake").write_text(
        f'add_test(one "{command}" "{script}")\n'
        f'set_tests_properties(one PROPERTIES TIMEOUT 1 LABELS "{label}")\n')
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CTEST")}
    return subprocess.run([sys.executable, RUNNER, folder, *arguments], capture_output=True, text=True,
                          timeout=60, env=environment)


def check(name, result, total, wanted):
    lines = result.stdout.splitlines()
    status = 0 if total.endswith(" 0 failed") else 1
    fine = lines and lines[-1] == total and result.returncode == status and wanted in result.stdout
    print(f"{'ok' if fine else 'FAILED':8}{name}")
    if not fine:
        print(f"        status {result.returncode}, wanted {total!r} and {wanted!r} in:\n"
              f"{result.stdout}{result.stderr}")
    return bool(fine)


def main(pattern=""):
    outcomes = []
    plain = [(name, label, text, (), total, wanted) for name, label, text, total, wanted in CASES]
    filtered = [(name, label, text, (word,), total, wanted) for name, label, text, word, total, wanted in FILTERED]
    with tempfile.TemporaryDirectory(prefix="whence-runner-") as temporary:
        folder = Path(temporary)
        for name, label, text, arguments, total, wanted in plain + filtered:
            if pattern.strip("*") in name:
                result = run(folder, label, text, *arguments)
                outcomes.append(check(name, result, total, wanted))
    print(f"{sum(outcomes)} passed, {len(outcomes) - sum(outcomes)} failed")
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))

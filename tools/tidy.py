#!/usr/bin/env python3
"""Runs clang-tidy over tracked sources, in parallel, and shows each finding once.

usage: tools/tidy.py BUILD_DIR JOBS <files     (./dev tidy)

Of the files named on stdin those are checked that BUILD_DIR compiles. A finding in a header turns up with
every source that includes it; it is printed with the first.
"""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

FINDING = re.compile(r"^(?=\S[^:\n]*:\d+:\d+: (?:error|warning):)", re.M)
NOISE = re.compile(r"^(?:\d+ warnings?.*|Suppressed .*|Use -header-filter.*|Error while processing .*)\n", re.M)


def check(build_dir, path):
    run = subprocess.run(["clang-tidy-19", "-p", build_dir, "--quiet", path], capture_output=True, text=True)
    if run.returncode == 0:
        return []
    findings = [block for block in FINDING.split(NOISE.sub("", run.stdout)) if block.strip()]
    return findings or [f"{path}: clang-tidy failed\n{run.stderr}"]


def main(build_dir, jobs):
    with open(f"{build_dir}/compile_commands.json") as database:
        compiled = {os.path.relpath(entry["file"]) for entry in json.load(database)}
    files = [path for path in sys.stdin.read().split("\n") if path in compiled]
    shown = set()
    with ThreadPoolExecutor(int(jobs)) as pool:
        for findings in pool.map(lambda path: check(build_dir, path), files):
            for finding in findings:
                if finding not in shown:
                    shown.add(finding)
                    print(finding, end="" if finding.endswith("\n") else "\n", flush=True)
    print(f"{len(files)} files, {len(shown)} findings")
    return 1 if shown or not files else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))

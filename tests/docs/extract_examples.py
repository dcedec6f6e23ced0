#!/usr/bin/env python3
"""Writes every C++ program that stands in a document to a file, so that the tests compile it.

usage: tests/docs/extract_examples.py OUT_DIR DOCUMENT...

A program is a block fenced by ```cpp that has a main(). OUT_DIR/NAME_1.cpp is the first one of NAME.md.
"""

import re
import sys
from pathlib import Path

BLOCK = re.compile(r"^```cpp\n(.*?)^```$", re.M | re.S)

out_dir = Path(sys.argv[1])
out_dir.mkdir(parents=True, exist_ok=True)
for document in map(Path, sys.argv[2:]):
    programs = [block for block in BLOCK.findall(document.read_text()) if "int main(" in block]
    if not programs:
        sys.exit(f"{document}: no program in it")
    for number, program in enumerate(programs, 1):
        target = out_dir / f"{document.stem.lower()}_{number}.cpp"
        if not target.exists() or target.read_text() != program:
            target.write_text(program)
        print(target)

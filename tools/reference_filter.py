#!/usr/bin/env python3
"""Shows Doxygen a header as the reference shall have it; line by line, so that its warnings name the right ones.

usage: tools/reference_filter.py HEADER
"""

import re
import sys
from pathlib import Path

LABEL = re.compile(r"^(\s*///) (shape|units|resumes|limits|errors|source): ?(.*)$")
TYPE = re.compile(r"^(?:struct|class|enum class)\b.*\{$")
MEMBER = re.compile(r"^(    [^/ ][^/]*[,;}])\s+// (.*)$")  # `direct,   // the peer is the client`
DECLARATION = re.compile(r"^(?!namespace|using namespace|template|class \w+;|struct \w+;)[A-Za-z]")
ADDRESS = re.compile(r"`?::(ffff[:.\w/]*)`?")  # no name to link


def first_sentence(docstring):
    return re.split(r"(?<=\.)\s", " ".join(docstring))[0]


def lines_for_doxygen(text):
    in_type = False
    docstring, before = [], ""
    for line in text.splitlines():
        original = line
        line = ADDRESS.sub(r"\\::\1", line.replace("namespace whence::inline v0", "namespace whence"))
        if TYPE.match(line):
            in_type = True
        elif line.startswith("}"):
            in_type = False
        if line.startswith("/// "):
            docstring = [*(docstring if before.startswith("///") else []), line[4:]]
        elif not line:
            docstring = []
        elif docstring and DECLARATION.match(line) and (before.endswith(";") or before.startswith("}")):
            line = f"/** {first_sentence(docstring)} */ {line}"  # declarations in a row share one docstring
        if in_type:
            line = MEMBER.sub(r"\1 ///< \2", line)
        yield LABEL.sub(r"\1 @label{\2} \3", line)
        before = original


if __name__ == "__main__":
    print("\n".join(lines_for_doxygen(Path(sys.argv[1]).read_text())))

#!/usr/bin/env python3
"""Writes a starting corpus for fuzz_parse from the test vectors.

    python3 tests/fuzz/make_corpus.py tests/vectors build/fuzz/corpus

One file per vector or captured stream: a byte of options, then the bytes on the wire.
"""

import json
import pathlib
import sys

DATAGRAM = 2  # the bits of fuzz_parse's options_of()
NO_BOUND = 1


def inputs(vectors: pathlib.Path):
    known = json.loads((vectors / "proxy_protocol.json").read_text())
    for vector in known["vectors"]:
        wire = bytes.fromhex(vector["hex"])
        options = DATAGRAM if vector.get("profile") == "datagram" else 0
        if len(wire) > 4096:
            options |= NO_BOUND
        yield vector["name"], options, wire
    for vector in known["encode_vectors"]:
        yield vector["name"], 0, bytes.fromhex(vector["hex"])
    captured = json.loads((vectors / "captured.json").read_text())
    for record in captured["recorded"]:
        yield record["name"], 0, bytes.fromhex(record["header_hex"] + record["payload_hex"])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    corpus = pathlib.Path(sys.argv[2])
    corpus.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, options, wire in inputs(pathlib.Path(sys.argv[1])):
        (corpus / name).write_bytes(bytes([options]) + wire)
        count += 1
    print(f"{count} inputs in {corpus}")


if __name__ == "__main__":
    main()

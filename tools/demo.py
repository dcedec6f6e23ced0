#!/usr/bin/env python3
"""Shows whence behind a real HAProxy: what the socket sees, the raw header, what whence decoded.

usage: tools/demo.py WHOAMI     (./dev demo builds it first)

client -> HAProxy -> hop -> whoami, all on 127.0.0.1. HAProxy is told to speak for 203.0.113.7:4242. The hop
forwards every byte as it is and keeps a copy, which is the only way to show the header that really passed.
Ends by itself; everything it started is ended by its process id, also after a failure or Ctrl-C.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

CLAIMED = ("203.0.113.7", 4242)  # TEST-NET-3: nobody's address
REQUEST = b"hello, who am I?\n"
STEP_SECONDS_MAX = 10
RUN_SECONDS_MAX = 40
HAPROXY_CONFIG = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend front
    bind fd@{listener}
    tcp-request connection set-src ipv4({address})
    tcp-request connection set-src-port int({port})
    unique-id-format %[uuid()]
    default_backend back
backend back
    server whoami 127.0.0.1:{hop} send-proxy-v2 proxy-v2-options crc32c,unique-id
"""


class DemoFailed(Exception):
    pass


class Program:
    """A child process with its errors in a file; ends with the `with` block."""

    def __init__(self, command, folder, pass_fds=()):
        self.name = Path(command[0]).name
        self.log = open(folder / f"{self.name}.log", "w+", errors="replace")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.log, pass_fds=pass_fds)

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if error is not None:
            self.log.seek(0)
            print(f"--- {self.name} said:\n{self.log.read()[-4000:]}", file=sys.stderr)
        self.log.close()
        self.process.stdout.close()

    def first_line(self):
        """The first line of its output. A thread reads it, so that waiting for it is bounded."""
        lines = []
        reader = threading.Thread(target=lambda: lines.append(self.process.stdout.readline()), daemon=True)
        reader.start()
        reader.join(STEP_SECONDS_MAX)
        if not lines or not lines[0]:
            raise DemoFailed(f"{self.name} did not say that it is ready")
        return lines[0].decode()


class RecordingHop:
    """Forwards one connection byte by byte to `target` and keeps what the caller sent."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(STEP_SECONDS_MAX)
        self.port = self.listener.getsockname()[1]
        self.recorded = bytearray()
        threading.Thread(target=self.forward, daemon=True).start()

    def forward(self):
        try:
            downstream, _ = self.listener.accept()
            upstream = socket.create_connection(self.target, STEP_SECONDS_MAX)
        except OSError:
            return  # the client sees the closed connection and reports it
        finally:
            self.listener.close()
        back = threading.Thread(target=self.pump, args=(upstream, downstream, bytearray()), daemon=True)
        back.start()
        self.pump(downstream, upstream, self.recorded)
        back.join(STEP_SECONDS_MAX)
        downstream.close()
        upstream.close()

    @staticmethod
    def pump(source, sink, copy):
        source.settimeout(STEP_SECONDS_MAX)
        try:
            while chunk := source.recv(65536):
                copy += chunk
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def start_haproxy(program, folder, listener, hop_port):
    config = folder / "haproxy.cfg"
    config.write_text(HAPROXY_CONFIG.format(listener=listener.fileno(), hop=hop_port,
                                            address=CLAIMED[0], port=CLAIMED[1]))
    return Program([program, "-db", "-f", str(config)], folder, pass_fds=[listener.fileno()])


def ask(port):
    """Sends the request through HAProxy and returns whoami's line; what follows it must be the echo."""
    with socket.create_connection(("127.0.0.1", port), STEP_SECONDS_MAX) as connection:
        connection.settimeout(STEP_SECONDS_MAX)
        connection.sendall(REQUEST)
        connection.shutdown(socket.SHUT_WR)
        answer = bytearray()
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except OSError as error:
            raise DemoFailed(f"the answer through HAProxy broke off: {error}") from error
    line, newline, echo = bytes(answer).partition(b"\n")
    if not newline:
        raise DemoFailed(f"no answer came through HAProxy, but {bytes(answer)!r}")
    if echo != REQUEST:
        raise DemoFailed(f"the request came back as {echo!r}")
    return json.loads(line)


def cut_header(recorded):
    """The v2 header at the front: 12 bytes signature, 2 bytes kinds, 2 bytes length, then that much."""
    if not recorded.startswith(b"\r\n\r\n\0\r\nQUIT\n") or len(recorded) < 16:
        raise DemoFailed(f"HAProxy sent no PROXY v2 header, but {bytes(recorded[:32])!r}")
    return bytes(recorded[:16 + int.from_bytes(recorded[14:16], "big")])


def readable(tlv):
    value = bytes.fromhex(tlv["hex"])
    return value.decode() if value.isascii() and value.decode().isprintable() and value else tlv["hex"]


def rows_of_decoded(facts):
    yield f"client  {facts['client']}"
    yield f"server  {facts['server']}"
    yield f"origin  {facts['origin']}"
    yield ""
    yield f"PROXY v{facts['version']}: {facts['command']} {facts['family']} {facts['transport']}"
    for tlv in facts.get("tlvs", []):
        text = readable(tlv)
        yield f"tlv 0x{tlv['type']:02x} {tlv['name']}"
        yield from (f"   {text[i:i + 36]}" for i in range(0, len(text), 36))


def show(facts, header, version):
    hex_rows = [header[i:i + 8].hex(" ") for i in range(0, len(header), 8)]
    seen = [f"peer   {facts['peer']}", f"local  {facts['local']}"]
    columns = [
        ["THE SOCKET SEES", "", *seen],
        [f"THE HEADER, {len(header)} bytes", "", *hex_rows],
        ["WHENCE DECODED", "", *rows_of_decoded(facts)],
    ]
    print(f"\nclient -> {version} -> whoami\n")
    for i in range(max(map(len, columns))):
        left, middle, right = (column[i] if i < len(column) else "" for column in columns)
        print(f"  {left:24} | {middle:23} | {right}".rstrip())
    print("""
HAProxy was told to speak for 203.0.113.7:4242. The bytes in the middle passed between HAProxy and whoami
through a recording hop that changes nothing, so the peer above is the hop: 127.0.0.1, as HAProxy's would be.
""")


def run(whoami, folder):
    search_path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    haproxy = shutil.which("haproxy", path=search_path)
    if haproxy is None or not os.access(whoami, os.X_OK):
        raise DemoFailed("haproxy is not installed" if haproxy is None else f"{whoami} is not built")
    version = subprocess.run([haproxy, "-v"], capture_output=True, text=True).stdout.split()
    with Program([whoami, "--listen", "127.0.0.1:0", "--trust", "127.0.0.1"], folder) as server, \
            socket.create_server(("127.0.0.1", 0)) as listener:
        host, _, port = json.loads(server.first_line())["address"].rpartition(":")
        hop = RecordingHop((host, int(port)))
        with start_haproxy(haproxy, folder, listener, hop.port):
            facts = ask(listener.getsockname()[1])
    header = cut_header(hop.recorded)
    show(facts, header, f"HAProxy {version[2]}" if len(version) > 2 else "HAProxy")
    claimed = f"{CLAIMED[0]}:{CLAIMED[1]}"
    if facts["client"] != claimed or facts["peer"].rpartition(":")[0] != "127.0.0.1":
        raise DemoFailed(f"client should be {claimed} and the peer 127.0.0.1")


def give_up(*_):
    raise DemoFailed("ended before it was done")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    signal.signal(signal.SIGTERM, give_up)
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(RUN_SECONDS_MAX)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="whence-demo-") as temporary:
            run(sys.argv[1], Path(temporary))
    except DemoFailed as failure:
        sys.exit(f"demo failed after {time.monotonic() - began:.1f} s: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)

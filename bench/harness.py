"""What the benchmark scripts share: servers under test, the machine's description, numbers as text."""

import ctypes
import os
import platform
import signal
import socket
import statistics
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 5


def core_pair():
    """The server's core and the load's; the same twice where there is one only."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


def start_pinned(command, cores, **options):
    """Starts a program on these cores, in a session (hence an autogroup) of its own. It ends with us."""
    def prepare():
        os.sched_setaffinity(0, cores)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    process = subprocess.Popen([str(part) for part in command], start_new_session=True, preexec_fn=prepare,
                               **options)
    try:
        # Between sessions `nice` does nothing: the scheduler weighs their groups.
        Path(f"/proc/{process.pid}/autogroup").write_text("-20")
    except OSError:
        pass
    return process


def free_address():
    """An address that was free a moment ago: not every server can tell which port it took."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


class Server:
    """A server under test: started, connected to once, killed at the end of the block."""

    def __init__(self, command, core, log=subprocess.DEVNULL):
        self.address = free_address()
        self.process = start_pinned([*command, self.address], {core}, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=log)
        self.pid = self.process.pid

    def __enter__(self):
        host, port = self.address.split(":")
        give_up = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                socket.create_connection((host, int(port))).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > give_up:
                    self.__exit__()
                    raise RuntimeError(f"{self.process.args[0]} does not answer") from None
                time.sleep(0.02)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def cached(build_dir):
    """CMake's cache as a dictionary."""
    entries = {}
    for line in (Path(build_dir) / "CMakeCache.txt").read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", "//")):
            entries[name.split(":")[0]] = value
    return entries


def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return (done.stdout.splitlines() or ["unknown"])[0]


def print_machine(build_dir, command):
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    cache = cached(build_dir)
    kind = cache.get("CMAKE_BUILD_TYPE", "")
    flags = f"{cache.get('CMAKE_CXX_FLAGS', '')} {cache.get('CMAKE_CXX_FLAGS_' + kind.upper(), '')}"
    print(f"machine   {os.cpu_count()} cores, {cpu}, {platform.system()} {platform.release()}")
    print(f"compiler  {first_line(cache['CMAKE_CXX_COMPILER'], '--version')}, {' '.join(flags.split())}")
    print(f"commit    {first_line('git', '-c', f'safe.directory={ROOT}', 'describe', '--always', '--dirty')}")
    print(f"date      {time.strftime('%Y-%m-%d %H:%M %Z')}, load {os.getloadavg()[0]:.1f}")
    print(f"command   {' '.join(command)}\n", flush=True)


def echo_command(build_dir, driver="io_uring"):
    """whence's echo; the address is appended."""
    return [Path(build_dir) / "examples/echo", "--driver", driver, "--access-log", "off", "--listen"]


def quartiles(values):
    if len(values) == 1:
        return values[0], values[0], values[0]
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def spread(values, digits=3):
    """`median [first quartile..third quartile]`"""
    low, middle, high = quartiles(values)
    return f"{middle:.{digits}f} [{low:.{digits}f}..{high:.{digits}f}]"

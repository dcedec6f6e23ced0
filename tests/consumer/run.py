#!/usr/bin/env python3
"""Uses whence the way other projects do: installed, moved, found, linked, and asked who is calling.

usage: tests/consumer/run.py BUILD_DIR [PART_OF_A_CASE'S_NAME]

BUILD_DIR is built already. What it installs goes outside of the checkout; what FetchContent builds goes to
BUILD_DIR-consumer, where ccache knows most of it. Ends in the line `N passed, N failed`.
"""

import json
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
SECONDS_MAX = 240  # for one command: the longest is a build of whence without a warm ccache
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("CTEST", "PKG_CONFIG", "MAKE", "CXX"))}
ENVIRONMENT |= {"CCACHE_BASEDIR": str(ROOT), "CCACHE_NOHASHDIR": "1", "LC_ALL": "C"}
ASIO_INTEROP = "whence/asio_interop/"  # for programs that have Asio
CASES = []


def case(function):
    CASES.append((function.__name__.replace("_", " "), function))
    return function


class Failure(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failure(message)


def attempt(*command, **environment):
    """Runs a command; gives its exit status and everything that it said."""
    done = subprocess.run([*map(str, command)], env=ENVIRONMENT | environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS_MAX)
    return done.returncode, done.stdout


def run(*command, **environment):
    status, output = attempt(*command, **environment)
    check(status == 0, f"{' '.join(map(str, command))}: status {status}\n{output}")
    return output


def without_warnings(output):
    check("warning:" not in output, output)


# ---- what there is ------------------------------------------------------------------------------------

def cached(name):
    """The value of a variable in the configuration of BUILD_DIR."""
    found = re.search(rf"^{name}:\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.M)
    return found.group(1) if found else ""


def version():
    return cached("CMAKE_PROJECT_VERSION")


def is_bundled(tree):
    return any(tree.rglob("libwhence_uring.a"))


@cache
def compilers():
    """One of each family."""
    families = [("clang++-19", "clang++-20", "clang++-18", "clang++"), ("g++-12", "g++")]
    found = [next(filter(shutil.which, family), None) for family in families]
    check(all(found), f"clang or g++ is missing: {families}")
    return found


@cache
def installed():
    """The tree that BUILD_DIR installs, moved to another place afterwards."""
    made, moved = WORK / "made", WORK / "moved"
    run("cmake", "--install", BUILD, "--prefix", made)
    made.rename(moved)
    return moved


@cache
def fetched():
    """The build directory of a consumer that builds whence itself. It decides about liburing the other way, so
    that what it installs is the other kind of tree."""
    build = BUILD.with_name(BUILD.name + "-consumer")
    other = "OFF" if is_bundled(installed()) else "ON"
    run("cmake", "-G", "Ninja", "-S", HERE, "-B", build, "-DCONSUMER_FETCHES=ON",
        f"-DFETCHCONTENT_SOURCE_DIR_WHENCE={ROOT}", "-DWHENCE_INSTALL=ON", f"-DWHENCE_BUNDLE_LIBURING={other}",
        # As BUILD_DIR is compiled: what ccache has of that serves here.
        "-DCMAKE_CXX_COMPILER_LAUNCHER=" + cached("WHENCE_CCACHE").replace("WHENCE_CCACHE-NOTFOUND", ""),
        *(f"-D{name}={cached(name)}" for name in ("CMAKE_CXX_COMPILER", "CMAKE_BUILD_TYPE",
                                                 "CMAKE_CXX_FLAGS_RELWITHDEBINFO", "WHENCE_WARNINGS_AS_ERRORS")))
    without_warnings(run("cmake", "--build", build, "-j", "2"))
    return build


@cache
def installed_otherwise():
    tree = WORK / "otherwise"
    run("cmake", "--install", fetched(), "--prefix", tree)
    return tree


@cache
def package():
    """The Debian package, unpacked."""
    deb = run(ROOT / "dev", "--no-prepare", "package", CXX=Path(cached("CMAKE_CXX_COMPILER")).name).splitlines()[-1]
    run("dpkg-deb", "-x", deb, WORK / "debian")
    return deb, WORK / "debian/usr"


# ---- using it -----------------------------------------------------------------------------------------

def configure(build, prefix, *options):
    return attempt("cmake", "-G", "Ninja", "-S", HERE, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}",
                   f"-DCONSUMER_VERSION={version()}", *options)


def build_with_cmake(name, prefix, compiler, standard=20):
    """Builds the consumer with what find_package finds below `prefix`."""
    build = WORK / name
    status, output = configure(build, prefix, f"-DCMAKE_CXX_COMPILER={compiler}", f"-DCMAKE_CXX_STANDARD={standard}")
    check(status == 0, output)
    without_warnings(run("cmake", "--build", build))
    return build / "whoami"


def ask(program):
    """Runs the program and calls as a proxy would: it must tell the client, here and there, and end when asked."""
    server = subprocess.Popen([program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watchdog = threading.Timer(20, server.kill)
    watchdog.start()
    try:
        host, _, port = server.stdout.readline().strip().rpartition(":")
        check(port.isdigit(), f"{program} does not say where it listens: {port!r}")
        with socket.create_connection((host, int(port)), timeout=10) as proxy:
            proxy.sendall(b"PROXY TCP4 203.0.113.7 198.51.100.1 4242 443\r\n")
            answer = b"".join(iter(lambda: proxy.recv(100), b""))
        check(answer == b"203.0.113.7:4242\n", f"the client was told {answer!r}")
        server.send_signal(signal.SIGTERM)
        output, errors = server.communicate(timeout=10)
        check(output == "client 203.0.113.7:4242\n" and server.returncode == 0,
              f"status {server.returncode}\n{output}\n{errors}")
        return errors
    finally:
        watchdog.cancel()
        server.kill()
        server.wait()


# ---- what is installed --------------------------------------------------------------------------------

@case
def only_public_headers_are_installed():
    include = installed() / "include"
    headers = {str(p.relative_to(include)): p.read_text() for p in include.rglob("*.hpp")}
    wanted = {str(p.relative_to(ROOT / "framework")) for p in (ROOT / "framework").rglob("*.hpp")
              if "Not a public header" not in p.read_text()}
    check(set(headers) == wanted, f"not as in the checkout (configure again?): {set(headers) ^ wanted}")
    for name, text in headers.items():
        if name.startswith(ASIO_INTEROP):
            continue
        foreign = re.findall(r"#include <((?!whence/)[^>]*[/.][^>]*)>", text)
        check(not foreign, f"{name} brings {foreign} along")


@case
def installed_headers_compile_without_anything_else():
    include = installed() / "include"
    everything = WORK / "everything.cpp"
    names = [str(p.relative_to(include)) for p in sorted(include.rglob("*.hpp"))]
    everything.write_text("".join(f"#include <{name}>\n" for name in names if not name.startswith(ASIO_INTEROP))
                          + "int main() {}\n")
    for compiler, standard in zip(compilers(), ("c++23", "c++20")):
        without_warnings(run(compiler, "-fsyntax-only", f"-std={standard}", "-Wall", "-Wextra", "-Werror",
                             "-Wno-unused-command-line-argument" if "clang" in compiler else "-Wno-subobject-linkage",
                             "-I", include, everything))


@case
def an_installed_tree_knows_nothing_of_the_checkout():
    texts = [p for p in installed().rglob("*") if p.is_file() and p.suffix != ".a"]
    check(any(p.name == "LICENSE" for p in texts), "LICENSE is missing")
    check(is_bundled(installed()) == any(p.name == "LICENSE.liburing" for p in texts),
          "liburing and its licence go together")
    for path in texts:
        for place in (ROOT, WORK):
            check(str(place) not in path.read_text(), f"{path} names {place}")


@case
def every_symbol_carries_the_version():
    major = version().split(".")[0]
    symbols = run("nm", "-C", "--defined-only", next(installed().rglob("libwhence.a")))
    bare = {line for line in symbols.splitlines() if re.search(rf"whence::(?!v{major}::)", line)}
    check(not bare, "\n".join(sorted(bare)[:10]))
    strong = re.findall(r"^[0-9a-f]+ [BDGRST] (.*)$", symbols, re.M)
    check(len(strong) > 100, f"only {len(strong)} symbols")
    foreign = [name for name in strong if f"whence::v{major}::" not in name]
    check(not foreign, f"outside of whence::v{major}: {foreign[:10]}")


@case
def a_shared_library_is_refused():
    status, output = attempt("cmake", "-G", "Ninja", "-S", ROOT, "-B", WORK / "shared", "-DBUILD_SHARED_LIBS=ON",
                             "-DCMAKE_CXX_COMPILER=" + cached("CMAKE_CXX_COMPILER"))
    check(status != 0 and "whence is a static library" in output, output)


# ---- find_package -------------------------------------------------------------------------------------

@case
def find_package_builds_a_whoami_with_clang():
    ask(build_with_cmake("found-clang", installed(), compilers()[0]))


@case
def find_package_builds_a_whoami_with_gcc_in_a_newer_standard():
    ask(build_with_cmake("found-gcc", installed(), compilers()[1], 23))


@case
def find_package_takes_no_other_minor_version():
    major, minor, _ = map(int, version().split("."))
    for other in (f"{major}.{minor - 1}", f"{major}.{minor + 1}", f"{major + 1}.0"):
        status, output = configure(WORK / f"version-{other}", installed(), f"-DCONSUMER_VERSION={other}")
        check(status != 0 and re.search(rf"version:\s+{version()}", output), output)


@case
def find_package_works_with_the_other_kind_of_liburing():
    tree = installed_otherwise()
    check(is_bundled(tree) != is_bundled(installed()), "both are of one kind")
    ask(build_with_cmake("otherwise-found", f"{tree};{ROOT}/.deps/usr", cached("CMAKE_CXX_COMPILER")))


@case
def find_package_refuses_a_liburing_that_is_too_old():
    old = WORK / "old"
    for path, text in (("include/liburing.h", ""), ("lib/liburing.a", "!<arch>\n"), (
            "include/liburing/io_uring_version.h", "#define IO_URING_VERSION_MAJOR 2\n#define IO_URING_VERSION_MINOR 4\n")):
        (old / path).parent.mkdir(parents=True, exist_ok=True)
        (old / path).write_text(text)
    tree = next(tree for tree in (installed(), installed_otherwise()) if not is_bundled(tree))
    status, output = configure(WORK / "too-old", f"{old};{tree}")
    check(status != 0 and "whence needs liburing 2.5 or newer; found: 2.4 in" in " ".join(output.split()), output)


@case
def without_liburing_a_whoami_runs_on_asio_and_says_so():
    build, tree = BUILD.with_name(BUILD.name + "-consumer-asio"), WORK / "asio-only"
    run("cmake", "-G", "Ninja", "-S", ROOT, "-B", build, "-DWHENCE_IO_URING=OFF", "-DWHENCE_BUILD_TESTS=OFF",
        "-DWHENCE_BUILD_BENCH=OFF", "-DWHENCE_BUILD_EXAMPLES=OFF",
        *(f"-D{name}={cached(name)}" for name in ("CMAKE_CXX_COMPILER", "CMAKE_BUILD_TYPE",
                                                 "CMAKE_CXX_FLAGS_RELWITHDEBINFO", "WHENCE_WARNINGS_AS_ERRORS")))
    without_warnings(run("cmake", "--build", build, "-j", "2"))
    run("cmake", "--install", build, "--prefix", tree)
    symbols = run("nm", "-C", next(tree.rglob("libwhence.a")))
    check("io_uring_submit" not in symbols, "the library refers to liburing")
    libraries = run("pkg-config", "--libs", "whence", PKG_CONFIG_PATH=str(next(tree.rglob("whence.pc")).parent))
    check("uring" not in libraries, libraries)
    errors = ask(build_with_cmake("asio-only-found", tree, cached("CMAKE_CXX_COMPILER")))
    said = [json.loads(line) for line in errors.splitlines()]
    told = [line for line in said if line["event"] == "driver"]
    check(len(told) == 1 and told[0]["driver"] == "asio" and "built without io_uring" in told[0]["reason"], errors)


# ---- pkg-config ---------------------------------------------------------------------------------------

def build_with_make(compiler):
    folder = WORK / f"make-{compiler}"
    shutil.copytree(HERE, folder)
    pc = next(installed().rglob("whence.pc"))
    output = run("make", "-C", folder, f"CXX={compiler}", PKG_CONFIG_PATH=str(pc.parent))
    without_warnings(output)
    return folder / "whoami"


@case
def pkg_config_builds_a_whoami_with_clang():
    ask(build_with_make(compilers()[0]))


@case
def pkg_config_builds_a_whoami_with_gcc():
    ask(build_with_make(compilers()[1]))


@case
def pkg_config_tells_what_a_static_library_needs():
    liburing = next(Path(ROOT / ".deps").rglob("liburing.pc"), Path("/nowhere")).parent
    for tree in (installed(), installed_otherwise()):
        path = {"PKG_CONFIG_PATH": f"{next(tree.rglob('whence.pc')).parent}:{liburing}"}
        complaints = [line for line in run("pkg-config", "--validate", "whence", **path).splitlines() if "whence" in line]
        check(not complaints, f"{complaints}")
        required = run("pkg-config", "--print-requires", "whence", **path).strip()
        check(required == ("" if is_bundled(tree) else "liburing >= 2.5"), f"requires {required!r}")
        libraries = [word for word in run("pkg-config", "--libs", "whence", **path).split() if word.startswith("-l")]
        check(libraries == ["-lwhence", "-lwhence_uring" if is_bundled(tree) else "-luring"], f"{libraries}")


# ---- FetchContent, Debian -----------------------------------------------------------------------------

@case
def fetchcontent_builds_a_whoami():
    ask(fetched() / "whoami")


@case
def the_debian_package_says_what_it_needs():
    deb, tree = package()
    field = dict(re.findall(r"^ ?([A-Z][\w-]*): (.*)$", run("dpkg-deb", "-I", deb), re.M))
    check(field["Package"] == "libwhence-dev" and field["Version"] == version(), f"{field}")
    check("libc6-dev (>= " in field["Depends"] and "libstdc++-dev" in field["Depends"], field["Depends"])
    check(is_bundled(tree) != ("liburing-dev (>= 2.5)" in field["Depends"]), field["Depends"])
    check("-isystem" not in next(tree.rglob("whence.pc")).read_text(), "-isystem /usr/include hides the compiler's own")
    foreign = [line for line in run("dpkg-deb", "-c", deb).splitlines() if " root/root " not in line]
    check(not foreign, f"not owned by root: {foreign}")


@case
def the_debian_package_builds_a_whoami():
    ask(build_with_cmake("debian-found", package()[1], cached("CMAKE_CXX_COMPILER")))


# ---- recipes of package managers ----------------------------------------------------------------------

@case
def the_vcpkg_manifest_is_well_formed():
    manifest = json.loads((ROOT / "vcpkg.json").read_text())
    check(manifest["name"] == "whence" and manifest["version-semver"] == version(), f"{manifest}")
    known = {"$schema", "name", "version-semver", "description", "license", "supports", "dependencies", "features"}
    check(set(manifest) <= known, f"unknown: {set(manifest) - known}")
    named = [*manifest["dependencies"], *(d for f in manifest["features"].values() for d in f["dependencies"])]
    check(all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in named), f"{named}")


def conan_recipe():
    """The recipe's class, with Conan replaced by nothing: it may not be installed."""
    for name in ("conan", "conan.errors", "conan.tools", "conan.tools.build", "conan.tools.cmake", "conan.tools.files"):
        module = sys.modules[name] = types.ModuleType(name)
        module.__getattr__ = lambda wanted: (lambda *_: Path(_[1]).read_text()) if wanted == "load" else type(wanted, (), {})
    return runpy.run_path(str(ROOT / "conanfile.py"))["whence"]


@case
def the_conan_recipe_exports_what_a_build_needs():
    recipe = conan_recipe()()
    recipe.recipe_folder = ROOT
    recipe.set_version()
    check(recipe.version == version(), f"version {recipe.version}")
    sources = WORK / "exported"
    for pattern in recipe.exports_sources:
        for path in filter(Path.is_file, ROOT.glob(pattern.replace("*", "**/*"))):
            target = sources / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    run("cmake", "-G", "Ninja", "-S", sources, "-B", sources / "build", "-DWHENCE_BUILD_EXAMPLES=OFF",
        "-DWHENCE_BUILD_TESTS=OFF", "-DWHENCE_BUILD_BENCH=OFF", "-DWHENCE_BUNDLE_LIBURING=OFF",
        "-DCMAKE_CXX_COMPILER=" + cached("CMAKE_CXX_COMPILER"),
        *(f"-D{name}={cached(name)}" for name in ("WHENCE_LIBURING_INCLUDE_DIR", "WHENCE_LIBURING_LIBRARY",
                                                 "WHENCE_ASIO_INCLUDE_DIR")))


def outcome_of(name, function):
    begin = time.monotonic()
    try:
        function()
    except (Failure, OSError, LookupError, StopIteration, subprocess.TimeoutExpired) as error:
        print(f"FAILED  {name}\n{error if isinstance(error, Failure) else repr(error)}", flush=True)
        return False
    print(f"ok      {time.monotonic() - begin:5.1f} s  {name}", flush=True)
    return True


def main(pattern=""):
    outcomes = [outcome_of(name, function) for name, function in CASES if pattern.strip("*") in name]
    print(f"{sum(outcomes)} passed, {len(outcomes) - sum(outcomes)} failed")
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    BUILD = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="whence-consumer-") as temporary:
        WORK = Path(temporary)
        sys.exit(main(*sys.argv[2:]))

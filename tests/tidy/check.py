#!/usr/bin/env python3
"""Checks the rules of CONTRIBUTING.md that a script can check, one function per rule.

usage: tests/tidy/check.py [PART_OF_A_RULE'S_NAME]

Every rule is two cases: it must find what is wrong in its own bad snippets (and nothing in its good ones),
and it must find nothing in the tree. Ends in the line `N passed, N failed`.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ["framework", "examples", "tests", "bench", "docs", "cmake", "tools", ".ci"]
LOOSE_FILES = ["dev", "README.md", "CONTRIBUTING.md", "CMakeLists.txt", ".clang-tidy", ".clang-format"]
TEXT_SUFFIXES = {".hpp", ".cpp", ".py", ".sh", ".cmake", ".txt", ".md", ".json", ".in", ".cfg", ""}
CODE_SIZE_MAX = {".hpp": 400, ".cpp": 500, ".py": 500, ".sh": 300}

# Folder of framework/whence -> the folders it may include; itself always. See docs/architecture.md.
BELOW_NET = ["base", "address", "coro", "proxy_protocol", "runtime"]
LAYERS = {
    "base": [],
    "address": ["base"],
    "coro": ["base"],
    "proxy_protocol": ["base", "address"],
    "runtime": ["base", "address", "coro"],
    "sim": ["base", "address", "coro", "runtime"],
    "net": ["base", "address", "coro", "runtime"],
    "file": ["base", "address", "coro", "runtime"],
    "middleware": [*BELOW_NET, "net", "file"],
    "observe": [*BELOW_NET, "net", "file", "middleware"],
    "tls": [*BELOW_NET, "net", "file", "middleware", "observe"],
    "asio_interop": [*BELOW_NET, "net", "file", "middleware", "observe", "tls"],
}
LAYER_EXCEPTIONS = {("net/connection.hpp", "proxy_protocol/header.hpp")}
DRIVER = re.compile(r"framework/whence/runtime/\w*_driver\w*\.[ch]pp$")
PLATFORM_HEADER = re.compile(r"framework/whence/(runtime/(uring|asio)_driver\w*\.hpp$|tls/|asio_interop/)")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.M)

RULES = []


def rule(bad, good=()):
    """Registers a rule. bad, good: (path, text) of files that it must object to, or must not."""
    def register(function):
        RULES.append((function.__name__.replace("_", " "), function, bad, good))
        return function
    return register


# ---- reading code -------------------------------------------------------------------------------------

NOT_CODE = re.compile(r"""//[^\n]*|/\*.*?\*/|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|"""
                      r"""(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'""", re.S)


def code_of(text):
    """The text with comments and literals blanked; offsets and line numbers stay."""
    return NOT_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found.group(0)), text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def is_cpp(path):
    return path.endswith((".hpp", ".cpp"))


def is_ours(path):
    """C++ that runs as part of whence; cmake/ holds a demonstration of compiler bugs."""
    return is_cpp(path) and not path.startswith("cmake/")


def in_framework(path):
    return path.startswith("framework/whence/") and is_cpp(path)


def is_private_header(path, text):
    return bool(PLATFORM_HEADER.match(path)) or "Not a public header" in text


def matches(pattern, text, message):
    for found in re.finditer(pattern, text):
        yield line_of(text, found.start()), message.format(found.group(0).strip())


def closing(code, opening):
    """The offset of the parenthesis that closes the one at `opening`; the end of the code if none does."""
    depth = 0
    for offset in range(opening, len(code)):
        depth += {"(": 1, ")": -1}.get(code[offset], 0)
        if depth == 0:
            return offset
    return len(code)


# ---- rules: structure ---------------------------------------------------------------------------------

@rule(bad=[("framework/whence/base/a.hpp", "#include <whence/net/socket.hpp>\n"),
           ("framework/whence/proxy_protocol/a.cpp", '#include "whence/coro/task.hpp"\n'),
           ("framework/whence/net/listener.hpp", "#include <whence/proxy_protocol/header.hpp>\n"),
           ("framework/whence/news/a.hpp", "#include <whence/base/check.hpp>\n")],
      good=[("framework/whence/net/connection.hpp", "#include <whence/proxy_protocol/header.hpp>\n"),
            ("framework/whence/net/a.cpp", "#include <whence/runtime/loop.hpp>\n"),
            ("framework/whence/whence.hpp", "#include <whence/net/listener.hpp>\n")])
def includes_point_to_lower_layers(path, text):
    parts = path.split("/")
    if not in_framework(path) or len(parts) < 4:
        return
    layer = parts[2]
    if layer not in LAYERS:
        yield 1, f"the folder '{layer}' is in no layer"
        return
    for found in INCLUDE.finditer(text):
        target = found.group(1).removeprefix("whence/")
        if target == found.group(1) or (path.split("/", 2)[2], target) in LAYER_EXCEPTIONS:
            continue
        if target.split("/")[0] not in [layer, *LAYERS[layer]]:
            yield line_of(text, found.start()), f"{layer}/ may not include {found.group(1)}"


@rule(bad=[("framework/whence/net/socket.cpp", "#include <liburing.h>\n"),
           ("framework/whence/runtime/loop.cpp", "#include <asio.hpp>\n"),
           ("framework/whence/runtime/asio_driver.cpp", "#include <liburing/io_uring.h>\n")],
      good=[("framework/whence/runtime/uring_driver.cpp", "#include <liburing.h>\n"),
            ("framework/whence/runtime/asio_driver_sockets.cpp", "#include <asio/ip/tcp.hpp>\n"),
            ("framework/whence/asio_interop/use.hpp", "#include <asio.hpp>\n")])
def liburing_and_asio_stay_in_their_drivers(path, text):
    if not in_framework(path):
        return
    homes = {"liburing": r"runtime/uring_driver\w*\.", "asio": r"runtime/asio_driver\w*\.|asio_interop/"}
    for found in INCLUDE.finditer(text):
        library = re.match(r"liburing|asio(?=[./])", found.group(1))
        if library and not re.match(homes[library.group(0)], path.removeprefix("framework/whence/")):
            yield line_of(text, found.start()), f"<{found.group(1)}> outside its driver"


@rule(bad=[("framework/whence/net/a.hpp", "#pragma once\n#include <sys/socket.h>\n"),
           ("framework/whence/net/b.hpp", "#pragma once\n#include <nlohmann/json.hpp>\n"),
           ("framework/whence/net/c.hpp", "#pragma once\n#include <whence/runtime/uring_driver.hpp>\n"),
           ("framework/whence/net/d.hpp", "#include <span>\n"),
           ("framework/whence/net/e.hpp", "#pragma once\n#define WHENCE_E 1\n")],
      good=[("framework/whence/net/a.hpp", "#pragma once\n#include <span>\n#include <whence/a/b.hpp>\n"),
            ("framework/whence/net/a.cpp", "#include <sys/socket.h>\n"),
            ("framework/whence/tls/a.hpp", "#pragma once\n#include <openssl/ssl.h>\n"),
            ("framework/whence/net/p.hpp", "#pragma once\n#include <poll.h>\n/// Not a public header: polls.\n")])
def public_headers_are_light(path, text):
    """A header for sources only says so: `Not a public header`. No other header may include it."""
    if not in_framework(path) or not path.endswith(".hpp"):
        return
    if not text.startswith("#pragma once") and "\n#pragma once\n" not in text:
        yield 1, "no #pragma once"
    if is_private_header(path, text):
        return
    for found in INCLUDE.finditer(text):
        header = found.group(1)
        target = ROOT / "framework" / header
        included = target.read_text() if header.startswith("whence/") and target.exists() else ""
        if is_private_header(f"framework/{header}", included) or not re.fullmatch(r"whence/.*|[a-z_0-9]+", header):
            yield line_of(text, found.start()), f"<{header}> in a public header"
    yield from matches(r"(?m)^[ \t]*#[ \t]*define\b.*", code_of(text), "a macro in a public header: {}")


@rule(bad=[("framework/whence/net/a.hpp", "\n" * 401), ("tests/net/a.cpp", "\n" * 501)],
      good=[("framework/whence/net/a.hpp", "\n" * 400), ("docs/long.md", "\n" * 5000)])
def files_are_small(path, text):
    size_max = CODE_SIZE_MAX.get(Path(path).suffix, sys.maxsize)
    size = text.count("\n")
    if size > size_max:
        yield size, f"{size} lines; beyond {size_max} a file is split"


@rule(bad=[("framework/whence/net/Socket.hpp", ""), ("tests/net/my-test.cpp", ""), ("tools/doIt.py", "")],
      good=[("framework/whence/net/tcp_socket.hpp", ""), ("tests/CMakeLists.txt", ""), ("docs/how-to.md", "")])
def files_are_named_in_snake_case(path, _):
    name = Path(path)
    if name.suffix in {".hpp", ".cpp", ".py", ".sh", ".cmake"} and not re.fullmatch(r"[a-z0-9_]+", name.stem):
        yield 1, "not in snake_case"


@rule(bad=[("tests/base/check.cpp", "#include <vector>\n#include <whence/base/check.hpp>\n")],
      good=[("tests/base/check.cpp", "#include <whence/base/check.hpp>\n#include <vector>\n"),
            ("tests/base/story_of_its_own.cpp", "#include <vector>\n")])
def a_test_includes_its_header_first(path, text):
    header = path.removeprefix("tests/").removesuffix(".cpp") + ".hpp"
    if not path.startswith("tests/") or not (ROOT / "framework/whence" / header).exists():
        return
    first = INCLUDE.search(text)
    if not first or first.group(1) != f"whence/{header}":
        yield 1, f"the first include is not <whence/{header}>"


# ---- rules: coroutines --------------------------------------------------------------------------------

DECLARATION = re.compile(r"\s*(?:const\s+)?(?!co_await\b)[A-Za-z_][\w:]*(?:<[^=;]*>)?(?:\s+const)?"  # type
                         r"\s*[&*]*\s+[&*]*[A-Za-z_]\w*\s*(?:=|\{)")                              # name =


@rule(bad=[("examples/a.cpp", "if (co_await f()) g();"), ("examples/b.cpp", "while (!(co_await f())) g();"),
           ("examples/c.cpp", "do { } while (x && co_await f());"), ("examples/d.cpp", "switch (co_await f()) {}"),
           ("examples/e.cpp", "while ((n = co_await f()) > 0) {}"), ("examples/f.cpp", "for (; co_await f();) {}"),
           ("examples/g.cpp", "if (auto n = h(); co_await f(n)) {}"), ("examples/h.cpp", "if (co_await x{}) {}")],
      good=[("examples/a.cpp", "while (auto chunk = co_await f()) g();"),
            ("examples/b.cpp", "if (result<std::size_t> n = co_await f(); n) g();"),
            ("examples/c.cpp", "auto ok = co_await f();\nif (ok) co_await g();  // if (co_await f())"),
            ("examples/d.cpp", "for (auto& x : y) co_await g(x);")])
def no_co_await_in_a_bare_condition(path, text):
    """g++ 12 hangs there (GCC PR106188) unless a condition variable takes the result."""
    if not is_ours(path):
        return
    code = code_of(text)
    for found in re.finditer(r"\b(if|while|switch|for)\s*(?:constexpr\s*)?\(", code):
        parts = code[found.end():closing(code, found.end() - 1)].split(";")
        if found.group(1) == "for":
            parts = parts[1:2]  # initialiser and increment are statements of their own
        if any("co_await" in part and not DECLARATION.match(part) for part in parts):
            yield line_of(code, found.start()), f"co_await in the condition of {found.group(1)}; name the result"


def statements_with_co_await(code):
    for found in re.finditer(r"\bco_await\b", code):
        begin = max(code.rfind(mark, 0, found.start()) for mark in ";{}") + 1
        ends = [end for end in (code.find(mark, found.start()) for mark in ";{}") if end >= 0]
        yield begin, code[begin:min(ends, default=len(code))], found.start() - begin


@rule(bad=[("examples/a.cpp", "auto x = ok ? co_await f() : 0;"), ("examples/b.cpp", "bool x = co_await f() && y;"),
           ("examples/c.cpp", "g(a || co_await f());"), ("examples/d.cpp", "bool x = h(co_await f()) && y;")],
      good=[("examples/a.cpp", "auto&& x = co_await f();"), ("examples/b.cpp", "bool x = a && b;\nco_await f(x);"),
            ("examples/c.cpp", "auto n = co_await f(a && b);")])
def no_co_await_beside_a_choice(path, text):
    """In ?:, && and || g++ 12 destroys temporaries twice."""
    if not is_ours(path):
        return
    code = code_of(text)
    for begin, statement, at in statements_with_co_await(code):
        depth, depth_of_await = 0, statement[:at].count("(") - statement[:at].count(")")
        for offset, character in enumerate(statement):
            depth += {"(": 1, ")": -1}.get(character, 0)
            choice = re.match(r"\s&&\s|\|\||\s\?\s", statement[offset:offset + 4])
            if choice and depth <= depth_of_await:
                sign = choice.group(0).strip()
                yield line_of(code, begin + at), f"co_await beside '{sign}'; name the result first"
                break


VALUE_CAPTURE = (r"co_await\b[^;{}]*(?<![\w)\]])"                               # no subscript
                 r"\[(?!\s*(?:&\s*[\],]|&\w|this|\]|\[))[^\]]*\]\s*(?=[({m\-n])")  # captures, not by reference
LIST_BESIDE = r"co_await\b[^;{}]*[(,]\s*\{\s*[^.}\s][^}]*,|\{[^;{}]*\bco_await\b[^;{}]*,[^;{}]*\}"


@rule(bad=[("examples/a.cpp", "co_await f([p] { use(p); });"),
           ("examples/b.cpp", "auto x = co_await f([=]() mutable { });"),
           ("examples/c.cpp", "co_await spawn([p = std::move(q)](int) { });"),
           ("examples/d.cpp", "co_await f({1, 2, 3});"),
           ("examples/e.cpp", "std::vector<int> v{co_await f(), co_await g()};")],
      good=[("examples/a.cpp", "co_await f([&] { use(p); });"), ("examples/b.cpp", "co_await table[i](x);"),
            ("examples/c.cpp", "auto work = [p] { use(p); };\nco_await f(work);"),
            ("examples/d.cpp", "co_await f({.version = 2});"), ("examples/e.cpp", "int v{co_await f()};")])
def no_capture_or_list_beside_co_await(path, text):
    """g++ 12 destroys such a lambda twice (GCC PR100611) and does not compile such a list."""
    if not is_ours(path):
        return
    code = code_of(text)
    yield from matches(VALUE_CAPTURE, code, "a lambda that captures by value beside co_await; name it first")
    yield from matches(LIST_BESIDE, code, "an initializer list beside co_await; name it first")


# The seed of a hash against chosen collisions: a secret, and no decision depends on it.
SEED = "framework/whence/middleware/client_limits.cpp"


# ---- rules: words -------------------------------------------------------------------------------------

@rule(bad=[("framework/whence/net/a.cpp", "auto t = std::chrono::steady_clock::now();"),
           ("framework/whence/coro/a.cpp", "clock_gettime(CLOCK_MONOTONIC, &t);"),
           ("examples/a.cpp", "std::random_device seed;"), ("examples/b.cpp", "int x = rand();"),
           ("framework/whence/middleware/client_limits.cpp", "std::random_device a; std::random_device b;")],
      good=[("framework/whence/runtime/uring_driver.cpp", "std::chrono::steady_clock::now();"),
            ("framework/whence/middleware/client_limits.cpp", "std::random_device seed;"),
            ("framework/whence/net/a.cpp", "auto t = loop_clock::now(); auto o = operand(); // rand()"),
            ("bench/a.cpp", "std::chrono::steady_clock::now();")])
def time_and_chance_come_from_the_driver(path, text):
    """Otherwise a simulation is not deterministic."""
    if (in_framework(path) or path.startswith("examples/") and is_cpp(path)) and not DRIVER.match(path):
        if path == SEED:
            text = text.replace("random_device", "", 1)
        yield from matches(r"\b(?:steady|system|high_resolution|file|utc)_clock::now\b|\bclock_gettime\b|\bgettimeofday\b|\bstd::time\s*\(|"
                           r"\btime\s*\((?:nullptr|NULL|0)\)|\brandom_device\b|\bgetrandom\b|\bs?rand\s*\(",
                           code_of(text),
                           "{} above the drivers; use whence::now() or the runtime's generator")


@rule(bad=[("tests/net/a.cpp", "std::this_thread::sleep_for(1s);"), ("tests/interop/a.py", "time.slee" + "p(1)"),
           ("tests/net/b.cpp", "usleep(100);")],
      good=[("tests/net/a.cpp", "co_await sleep_for(1s);  // not usleep(1)"),
            ("tests/net/b.cpp", "auto sleeping = as_result(sleep_for(1s));"), ("bench/a.cpp", "usleep(1);")])
def tests_do_not_sleep(path, text):
    if path.startswith("tests/") and path.endswith((".cpp", ".hpp", ".py")):
        yield from matches(r"(?<!co_await )(?<!as_result\()(?<!whence::)\b(?:std::this_thread::|time\.|::)?"
                           r"(?:sleep_for|sleep_until|sleep|usleep|nanosleep)\s*\(",
                           code_of(text) if is_cpp(path) else re.sub(r"#.*|\"[^\"\n]*\"", "", text),
                           "{} in a test; wait for what is awaited, with a bound")


@rule(bad=[("tests/net/a.cpp", 'TEST_CASE("x", "[net][!mayfail]")'), ("tests/net/b.cpp", "SKI" + 'P("no nginx");'),
           ("tests/net/c.cpp", 'TEST_CASE("x", "[.][slow]")')],
      good=[("tests/net/a.cpp", 'TEST_CASE("x", "[net]")'), ("tests/net/b.cpp", "// nobody may skip")])
def no_test_is_excused(path, text):
    if path.startswith("tests/") and is_cpp(path):
        yield from matches(r"\bSKIP\s*\(|\[!(?:shouldfail|mayfail)\]|\[\.\w*\]", text,
                           "{}: absent software is a failure")


@rule(bad=[("framework/whence/net/a.cpp", "std::format(x);"), ("examples/a.cpp", "#include <expected>\n"),
           ("examples/b.cpp", "std::generator<int> g();")],
      good=[("framework/whence/net/a.cpp", "// std::format is missing in libstdc++ 12\nfoo::format(x);")])
def nothing_that_libstdcxx_12_lacks(path, text):
    if is_cpp(path):
        yield from matches(r"\bstd::(?:format|format_to|print|println|expected|generator)\b|"
                           r"#include <(?:format|print|expected|generator)>", code_of(text),
                           "{} is not in libstdc++ 12")


@rule(bad=[("docs/a.md", "TO" + "DO: write\n"), ("dev", "# FIX" + "ME\n"), ("examples/a.cpp", "// HA" + "CK\n")],
      good=[("docs/a.md", "mktemp x.XXXXXX; a hackathon\n")])
def nothing_is_left_for_later(path, text):
    yield from matches(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b", text, "{}: do it, or open an issue")


@rule(bad=[("docs/a.md", "see /home/" "me/notes"), ("tools/a.py", 'open("/root/' 'x")'),
           ("docs/b.md", str(ROOT) + "/x")],
      good=[("docs/a.md", "https://example.org/home/ and $HOME/.cache; /usr/bin/env")])
def no_path_of_one_machine(path, text):
    yield from matches(r"(?<![\w.])/(?:home|root|Users)/\w+|" + re.escape(str(ROOT)) + r"(?=[/\"'\s])", text,
                       "{} exists on one machine only")


# ---- running ------------------------------------------------------------------------------------------

def tree():
    paths = [ROOT / name for name in LOOSE_FILES]
    for folder in FOLDERS:
        paths += sorted((ROOT / folder).rglob("*"))
    for path in paths:
        if path.is_file() and path.suffix in TEXT_SUFFIXES and "__pycache__" not in path.parts:
            try:
                yield str(path.relative_to(ROOT)), path.read_text()
            except UnicodeDecodeError:
                continue  # data, not text


def self_test(function, bad, good):
    for path, text in bad:
        if not list(function(path, text)):
            yield f"overlooks {path}: {text[:60]!r}"
    for path, text in good:
        for _, message in function(path, text):
            yield f"objects to {path}: {text[:60]!r}: {message}"


def report(name, complaints):
    print(f"{'FAILED' if complaints else 'ok':8}{name}")
    for complaint in complaints:
        print(f"        {complaint}")
    return not complaints


def main(pattern=""):
    files = list(tree())
    passed = failed = 0
    for name, function, bad, good in RULES:
        cases = [(f"the rule works: {name}", list(self_test(function, bad, good))),
                 (name, [f"{path}:{line}: {message}" for path, text in files
                         for line, message in function(path, text)])]
        for case, complaints in cases:
            if pattern.strip("*") not in case:
                continue
            if report(case, complaints):
                passed += 1
            else:
                failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))

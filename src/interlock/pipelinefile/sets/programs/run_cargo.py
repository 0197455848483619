"""Run `cargo test` and write a JUnit report: REPORT, then cargo's own options.

cargo starts each test program through this file, in the folder and with the environment that it would have without it.
Each program lists its tests, then runs. Its output counts if every test has exactly one result and the totals at its
end match. Doc tests are counted by file, since their names contain line numbers. A build that fails leaves no report.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

LISTED = re.compile(r"^(.+): test$", re.M)
COUNTED = re.compile(r"^\d+ tests?, \d+ benchmarks?$", re.M)
RESULT = re.compile(r"test (?P<name>\S.*?)(?: - should panic)? \.\.\. (?P<how>ok|FAILED|failed|ignored)(?:,.*)?$")
# With one test at a time, its name comes first, then the output of its children, then its result.
BEGUN = re.compile(r"test (?P<name>\S.*?)(?: - should panic)? \.\.\. ")
AFTER = re.compile(r"(failures|successes):$|test result: ")
ENDED = re.compile(r"(ok|FAILED)$")
SUM = re.compile(r"^test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored; .*$", re.M)
SAID = re.compile(r"^---- (.+?)(?: stdout)? ----$", re.M)
# The name of a doc test: `src/lib.rs - name (line 3)`; ` - compile` is kept, since that is another test.
ITEM = re.compile(r" - .*?\(line \d+\)")
ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SUITES = {"ok": "", "ignored": "skipped"}


def main(report: str, *arguments: str) -> int:
    for name in ("REPORT", "HELD_OUT"):
        os.environ.pop(name, None)
    os.environ.update(RUST_BACKTRACE="0", CARGO_TERM_COLOR="never")
    built = subprocess.run(
        ["cargo", "test", "--no-run", "--message-format=json-render-diagnostics", *arguments],
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if built.returncode:
        return built.returncode
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "targets").write_text(json.dumps(dict(targets(built.stdout))))
        runner = json.dumps([sys.executable, "-I", "-B", __file__, "--one", folder])
        words = ["cargo", "test", "--no-fail-fast", "--config", f"target.{host()}.runner={runner}", *arguments]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, errors="replace", check=False)
        sys.stderr.write(done.stdout)  # the output of doc tests: the other programs wrote their own
        found = [case for path in sorted(Path(folder).glob("*.json")) for case in json.loads(path.read_text())]
    found += [documented(case) for case in cases("doc", "", None, done.stdout, done.returncode)]
    suite = as_junit(found)
    Path(report).write_bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))
    return done.returncode or (101 if suite.find("testcase/failure") is not None else 0)


def targets(said: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each test program with its name, as nextest gives it, and the file if it is an integration test."""
    for line in said.splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        if not message.get("executable") or not message.get("profile", {}).get("test"):
            continue
        package = Path(message["manifest_path"]).parent
        target, name = message["target"], package_name(message["package_id"], package)
        kind = target["kind"][0]
        if kind == "test":
            yield message["executable"], (f"{name}::{target['name']}", os.path.relpath(target["src_path"]))
        elif kind in ("bin", "example", "bench"):
            yield message["executable"], (f"{name}::{kind}/{target['name']}", "")
        else:
            yield message["executable"], (name, "")


def package_name(package_id: str, folder: Path) -> str:
    """`path+file:///a/b#name@1.0`, `path+file:///a/name#1.0`, or `name 1.0 (path+...)` of older ones."""
    if " (" in package_id:
        return package_id.partition(" ")[0]
    name, at, _ = package_id.rpartition("#")[2].rpartition("@")
    return name if at else folder.name


def host() -> str:
    said = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    return next(line.removeprefix("host: ") for line in said.splitlines() if line.startswith("host: "))


def one(folder: str, program: str, *arguments: str) -> int:
    """Run one test program in cargo's place; one that is none of the targets is a test in documentation."""
    known: dict[str, list[str]] = json.loads((Path(folder) / "targets").read_text())
    if program not in known:
        os.execv(program, [program, *arguments])
    name, file = known[program]
    listed = subprocess.run([program, "--list"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    names = text(listed.stdout)
    tests = LISTED.findall(names) if not listed.returncode and COUNTED.search(names) else None
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, check=False)
    said = text(done.stdout)
    sys.stderr.write(said)
    found = list(cases(name, file, tests, said, done.returncode)) if tests is not None else []
    if tests is None:  # a harness of its own has only an exit code
        how = "ok" if done.returncode == 0 else "failed"
        found = [{"group": name, "name": "(harness)", "how": how, "file": file, "said": said[-8000:]}]
    (Path(folder) / f"{Path(program).name}.json").write_text(json.dumps(found))
    return done.returncode if 0 <= done.returncode < 256 else 101


def text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def cases(group: str, file: str, tests: "Sequence[str] | None", said: str, code: int) -> Iterator[dict[str, Any]]:
    """The result of each test according to the program's output, and a failed case of its own if some are missing or
    doubled. `tests` is None if they are not known."""
    known = None if tests is None else frozenset(tests)
    answers = list(results(said, known))
    pieces = SAID.split(said)
    messages = dict(zip(pieces[1::2], (piece.partition("\nfailures:\n")[0] for piece in pieces[2::2]), strict=True))
    for name, how in answers:
        yield {"group": group, "name": name, "how": how, "file": file, "said": messages.get(name, "").strip()}
    if known is not None and (wrong := complaint(answers, known, said, code)):
        yield {"group": group, "name": "(all tests)", "how": "failed", "file": file, "said": wrong}


def results(said: str, known: "frozenset[str] | None") -> Iterator["tuple[str, str]"]:
    """Each test with its result: the one on the line of its name, else the last one before another test or the end."""
    begun, how = "", ""
    for line in said.splitlines():
        start = BEGUN.search(line)
        is_next = start is not None and (known is None or start["name"] in known)
        if begun and how and (is_next or AFTER.match(line)):
            yield begun, how
            begun = ""
        if start is not None and is_next:
            whole = RESULT.search(line)
            if whole is not None:
                yield whole["name"], whole["how"].lower()
            begun, how = "" if whole or known is None else start["name"], ""
        if ended := ENDED.search(line):
            how = ended[1].lower()
    if begun and how:
        yield begun, how


def complaint(answers: "list[tuple[str, str]]", known: "frozenset[str]", said: str, code: int) -> str:
    """What is inconsistent in the results; empty if nothing is."""
    names = Counter(name for name, _ in answers)
    twice = next((name for name, count in names.items() if count > 1), "")
    if twice:
        return f"{twice} has more than one result: something other than the test runner printed one"
    if len(names) < len(known):
        missing = min(known.difference(names))
        return f"{len(names)} of {len(known)} tests have a result, and {missing} has none (exit code {code})"
    sums = SUM.findall(said)
    given = Counter(how for _, how in answers)
    counted = tuple(str(given[how]) for how in ("ok", "failed", "ignored"))
    if sums != [counted] or not SUM.fullmatch(said.rstrip().rpartition("\n")[2]):
        return f"the totals at its end do not match the results of the tests (exit code {code})"
    if code != (101 if given["failed"] else 0):
        return f"exit code {code} does not match the results of the tests"
    return ""


def documented(case: dict[str, Any]) -> dict[str, Any]:
    return {**case, "name": ITEM.sub("", case["name"])}


def as_junit(found: "Sequence[dict[str, Any]]") -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name="cargo", tests=str(len(found)))
    for case in found:
        attributes = {
            "classname": case["group"],
            "name": case["name"],
            **({"file": case["file"]} if case["file"] else {}),
        }
        element = ElementTree.SubElement(suite, "testcase", attributes)
        kind = SUITES.get(case["how"], "failure")
        if kind:
            message = ILLEGAL.sub("?", case["said"])
            ElementTree.SubElement(element, kind).text = message[:8000]
    return suite


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(one(*words[1:]) if words[0] == "--one" else main(*words))

"""Which gates `init` writes, which files are tests that agents may not change, and what a trial of the gates showed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interlock.conventions.judge_files import is_test
from interlock.core.pipeline import Report
from interlock.pipelinefile import repo
from interlock.pipelinefile.repo import Part, Which
from interlock.pipelinefile.runners import configured_tests
from interlock.pipelinefile.scaffold.setups import installs, recipes
from interlock.pipelinefile.sets import ResolvedGate, resolve
from interlock.text.globs import matches_any

_NOT_INSTALLED = "is not among the packages that setup installs"
# Tests fail too if the code does not compile: build and types are only written for languages without tests.
WANTED = {
    "python": ("lint", "types", "test"),
    "node": ("lint", "types", "test"),
    "go": ("lint", "test"),
    "rust": ("lint", "test"),
    "java": ("lint", "test"),
}
_SCRIPTS = tuple(f"*.{name}.{end}" for name in ("test", "spec") for end in ("[jt]s", "[cm][jt]s", "[jt]sx"))
# The tests among the files that are protected by name.
TESTS = {
    "python": ("**/tests/**", "**/test/**", "test_*.py", "*_test.py", "conftest.py"),
    "node": ("**/tests/**", "**/test/**", "**/__tests__/**", *_SCRIPTS),
    "go": ("*_test.go", "**/testdata/**"),
    "rust": ("**/tests/**",),
    "java": ("**/src/test/**",),
}
# Folders of tests in some projects and of the product in others: they are protected only if they hold tests.
OTHER_FOLDERS = ("testing", "spec", "specs", "t", "unittests", "unit_tests", "integration_tests", "functional_tests")
ID_MAX = 40


@dataclass(frozen=True, slots=True)
class Choice:
    """A gate to write: its id in the stage, and the ready gate that it uses or the line that it runs."""

    id: str
    use: str = ""
    ready: ResolvedGate | None = None
    dir: str = ""
    run: str = ""
    breaks: tuple[str, ...] = ()  # test files to break, if it is judged by its exit code alone

    @property
    def tests(self) -> bool:
        return self.use.endswith(".test") or (bool(self.run) and not self.id.endswith("lint"))


def choose_gates(parts: Sequence[Part], root: Path, which: Which) -> tuple[tuple[Choice, ...], tuple[str, ...]]:
    """The gates in the order in which they are judged, and notes on them and on those that were left out."""
    chosen: list[Choice] = []
    notes: list[str] = []
    for part in parts:
        found, more = _gates_of_part(part, _prefix(part, parts), root, which)
        chosen += found
        notes += more
    chosen, more = _with_targets(chosen, root, which)
    notes += more
    chosen = [_with_breaks(choice, root) for choice in chosen]
    notes += [f"{_name(choice)}: {choice.ready.why}" for choice in chosen if choice.ready]
    notes += [
        f"WARNING: {_name(choice)} is judged only by its exit code: single tests and lost tests are not seen"
        for choice in chosen
        if choice.tests and not reports_tests(choice)
    ]
    notes += [
        f"WARNING: {path} has its own test harness, and {_name(choice)} sees only its exit code: a gate "
        f'{{run: "cargo test --test {name}", breaks: ["{path}"]}} shows whether it can fail'
        for choice in chosen
        if choice.use == "rust.test"
        for name, path in own_harness_tests(root, choice.dir)
    ]
    if chosen and not any(choice.tests for choice in chosen):
        kinds = ", ".join(choice.use for choice in chosen)
        what = "only compilation is checked" if _only_compiles(chosen) else "no test runs"
        notes.append(
            f"WARNING: {what} ({kinds}): no gate checks what a change does: add tests, or a gate that runs them"
        )
    return tuple(chosen), tuple(notes)


def _with_breaks(choice: Choice, root: Path) -> Choice:
    """The choice with files to break, if nothing else shows that its tests can fail."""
    if not choice.tests or reports_tests(choice) or (choice.ready is not None and choice.ready.canary):
        return choice
    command = choice.ready.run if choice.ready is not None else choice.run
    return replace(choice, breaks=likely_test_files(root, choice.dir, command))


def reports_tests(choice: Choice) -> bool:
    """Whether the gate reports each test, so that it can say which are new."""
    return choice.use.endswith(".test") and choice.ready is not None and choice.ready.report is Report.JUNIT


def tests_of(parts: Sequence[Part], root: Path) -> tuple[str, ...]:
    """Globs of the tests of all parts."""
    languages = dict.fromkeys(part.language for part in parts)
    found = (glob for language in languages for glob in TESTS.get(language, ()))
    return tuple(dict.fromkeys((*found, *special_tests(parts, root))))


def special_tests(parts: Sequence[Part], root: Path) -> tuple[str, ...]:
    """Globs of folders that hold tests in this project and are not protected by name."""
    found = []
    for part in parts:
        for name in OTHER_FOLDERS:
            folder = root / part.folder / name
            if folder.is_dir() and any(is_test(f"{name}/{file}", part.language) for file in repo.files(folder)):
                found.append(_below(part, f"{name}/**"))
    return tuple(dict.fromkeys(found))


def _below(part: Part, path: str) -> str:
    return f"{part.folder}/{path}" if part.folder else path


def _prefix(part: Part, parts: Sequence[Part]) -> str:
    """The prefix that distinguishes the gates of a part from those of others."""
    folder = part.folder.rpartition("/")[2].lower()
    words = [folder] if part.folder else []
    if sum(other.folder == part.folder for other in parts) > 1:
        words.append(part.language)
    name = "-".join("".join(c if c.isalnum() and c.isascii() else "-" for c in word).strip("-") for word in words)
    name = name if not name or name[0].isalpha() else f"part-{name}"
    return f"{name[:ID_MAX]}-" if name else ""


def _gates_of_part(part: Part, prefix: str, root: Path, which: Which) -> tuple[list[Choice], list[str]]:
    chosen: list[Choice] = []
    notes: list[str] = []
    folder = root / part.folder
    for member in (*WANTED[part.language], "build"):
        use = f"{part.language}.{member}"
        if member == "build" and chosen:
            continue
        ready = resolve(use, folder)
        absent = _missing_tool(use, ready, folder, which)
        choice = Choice(f"{prefix}{member}", use, ready, part.folder)
        if ready.applies and absent:
            notes.append(f"{_name(choice)} is left out: {absent} ({ready.why}): {_remedy(absent)}")
        elif ready.applies:
            chosen.append(choice)
    return chosen, notes


def _with_targets(chosen: list[Choice], root: Path, which: Which) -> tuple[list[Choice], list[str]]:
    """Add targets of a Makefile for what no ready gate does. A target for tests replaces gates that only compile."""
    notes = []
    for member in ("lint", "test"):
        if any(choice.id.endswith(member) for choice in chosen):
            continue
        command, name = make_target(root, member)
        if not command:
            continue
        if not which(command.split()[0]):
            notes.append(
                f"the target {command.split()[1]} of {name} is left out: {command.split()[0]} is not installed: "
                f"{_remedy('')}"
            )
            continue
        if member == "test":
            chosen = [choice for choice in chosen if not choice.use.endswith(".build")]
        chosen.append(Choice(member, run=command))
        notes.append(f"{command}: by its exit code, because nothing else was found that {member}s")
    return chosen, notes


def _only_compiles(chosen: Sequence[Choice]) -> bool:
    return all(choice.use.endswith((".build", ".types")) for choice in chosen)


def _name(choice: Choice) -> str:
    name = choice.use or choice.run
    return f"{name} in {choice.dir}" if choice.dir else name


def _missing_tool(use: str, ready: ResolvedGate, root: Path, which: Which) -> str:
    """Why the gate cannot pass at once, in words; empty if it can. If there is a setup, linters and type checkers of
    Python must come from it: another version reports other things, and sees none of the project's packages."""
    for tool in ready.tools:
        if use in ("python.lint", "python.types") and any(
            each.brings for each in recipes("python", root, ("",), which)
        ):
            if not installs(tool, root, which):
                return f"{tool} {_NOT_INSTALLED}"
        elif not which(tool):
            return f"{tool} is not installed"
    return ""


def _remedy(absent: str) -> str:
    where = (
        "add it to the dependencies that your tests are installed with" if _NOT_INSTALLED in absent else "install it"
    )
    return f"{where}, then `interlock init --force` writes the gate"


def covers_language(root: Path, language: str) -> bool:
    """Whether the root has tests of `language`, or a build that includes the folders below."""
    spans = {"rust": ("Cargo.toml",), "go": ("go.work", "go.mod"), "java": ("pom.xml", "settings.gradle*")}
    return bool(repo.has(root, *spans.get(language, ()))) or resolve(f"{language}.test", root).applies


def folders_of(parts: Sequence[Part]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each language with its folders."""
    for language in dict.fromkeys(part.language for part in parts):
        yield language, tuple(part.folder for part in parts if part.language == language)


_FILES = (
    ("make", ("GNUmakefile", "makefile", "Makefile")),
    ("just", ("justfile", ".justfile", "Justfile")),
)
_TARGETS = {"test": ("test", "tests", "check"), "lint": ("lint",)}


def make_target(root: Path, member: str) -> tuple[str, str]:
    """The command that runs the target for `member` (test or lint), and the file of the target; empty without one."""
    for program, names in _FILES:
        name = repo.has(root, *names)
        content = repo.text(root, name) if name else ""
        for wanted in _TARGETS[member]:
            if re.search(rf"^@?{wanted}(\s+[\w'\"=*+ -]*)?\s*:(?!=)", content, re.M):
                return f"{program} {wanted}", name
    return "", ""


FILES_MAX = 10  # no more than a gate breaks
MANIFESTS_MAX = 100
_KINDS = re.compile(r".+\.([cm]?[jt]sx?|py|sh|bash)")
_NO_TESTS = (
    "**/fixture*/**", "**/data/**", "**/helper*/**", "**/util*/**", "**/example*/**", "helper*", "util*", "common.*",
    "index.*", "__init__.py", "conftest.py", "*.d.ts", "*.config.*",
)  # fmt: skip
_TEST = re.compile(r"(^|/)([^/]*[-_.])?(test|spec)s?([-_.][^/]*)?\.\w+$")


def likely_test_files(root: Path, folder: str, command: str) -> tuple[str, ...]:
    """Globs of likely test files, one file each, as a gate in `folder` writes them; files that the command names come
    first."""
    base = root / folder
    text = "\n".join((command, *_read_by(base, command)))
    known = configured_tests(base)
    found = [
        path
        for path in repo.files(base)
        if _KINDS.fullmatch(path)
        and (is_test(path) or matches_any(known, path) or _names(text, path))
        and not matches_any(_NO_TESTS, path)
    ]
    found.sort(key=lambda path: (not _names(text, path), not _TEST.search(path), path.count("/"), path))
    below = f"/{folder}/" if folder else "/"
    return tuple(path if "/" in path else below + path for path in found[:FILES_MAX])


def own_harness_tests(root: Path, folder: str) -> tuple[tuple[str, str], ...]:
    """Tests of Rust with a harness of their own: cargo's name and the file of each."""
    found = []
    manifests = [path for path in repo.files(root / folder) if path.rpartition("/")[2] == "Cargo.toml"]
    for path in manifests[:MANIFESTS_MAX]:
        below = path.removesuffix("Cargo.toml")
        for test in _tests_of(repo.text(root / folder, path)):
            if isinstance(test, dict) and test.get("harness") is False and isinstance(name := test.get("name"), str):
                found.append((name, f"{below}{test.get('path', f'tests/{name}.rs')}"))
    return tuple(found)


def _tests_of(manifest: str) -> list[Any]:
    try:
        tests = tomllib.loads(manifest).get("test")
    except tomllib.TOMLDecodeError:
        return []
    return tests if isinstance(tests, list) else []


def _read_by(base: Path, command: str) -> list[str]:
    """The files in which make or just look up what to run."""
    if re.match(r"(make|just)\b", command):
        return [repo.text(base, "GNUmakefile", "makefile", "Makefile", "justfile", ".justfile", "Justfile")]
    return []


def _names(text: str, path: str) -> bool:
    return re.search(rf"(?<![\w/.-])(\./)?{re.escape(path)}(?![\w/-])", text) is not None


NAMES_MAX = 12  # of failing tests, in a comment


@dataclass(frozen=True, slots=True)
class GateTrial:
    """The result of one gate on the files as they are. `failing`: the tests that fail, if it reports tests; `why`: else
    the first words of its output. `can_run` is False if it could not decide. `heeds` is False if it also passes
    with each test file broken; `unheeded` are the files of `breaks` for which it passes."""

    id: str
    failing: tuple[str, ...] = ()
    why: str = ""
    can_run: bool = True
    heeds: bool = True
    unheeded: tuple[str, ...] = ()

    def is_off(self, *, tests: bool) -> bool:
        """Whether the gate is written as a comment: no change could pass it, and it runs no `tests`, so other gates
        still judge."""
        return self.can_run and not self.failing and not tests


@dataclass(frozen=True, slots=True)
class GateTrials:
    """The results of the gates that do not pass."""

    gates: tuple[GateTrial, ...] = ()

    def of(self, gate: str) -> GateTrial | None:
        return next((each for each in self.gates if each.id == gate), None)


NO_TRIALS = GateTrials()


def comment_of(failing: tuple[str, ...]) -> list[str]:
    """The names of the failing tests as lines of a comment, at most NAMES_MAX."""
    shown = [" ".join(name.split())[:150] for name in failing[:NAMES_MAX]]
    more = len(failing) - len(shown)
    return [
        "fails today, and may keep failing:",
        *(f"  {name}" for name in shown),
        *([f"  and {more} more"] if more > 0 else []),
    ]

"""Adding tests that must fail beside the project's own, in a checkout that is thrown away.

Rule: each one is in the folder of a test file that the runner collects, and is written like that file. Without such a
file nothing is added. How they are written for a runner says the function named like it, in the module of its language.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import cast

from interlock.conventions import commands, judge_files
from interlock.core.pipeline import CommandLine, Gate
from interlock.gates.canary import Words, new_words
from interlock.ports import GateRequest, Workspaces
from interlock.text.globs import matches_any

_READ_MAX = 500_000
_SIBLINGS_MAX = 2_000
_LANGUAGES = MappingProxyType(
    {"pytest": "python", "unittest": "python", "node": "node", "vitest": "node", "jest": "node", "mocha": "node"}
    | {"go": "go", "cargo": "rust", "junit": "java"}
)
_MODULES = MappingProxyType(
    {
        **dict.fromkeys(("pytest", "unittest"), "python"),
        **dict.fromkeys(("node", "vitest", "jest", "mocha"), "javascript"),
        **dict.fromkeys(("go", "cargo", "junit"), "compiled"),
        "script": "script",
    }
)
_ASIDE = ("**/example*/**", "**/docs/**", "**/fixtures/**", "**/testdata/**", "**/data/**", "**/templates/**",
          "**/e2e/**", "**/node_modules/**", "**/cypress/**", "**/bench*/**", "**/.*/**")  # fmt: skip
_FOLDERS = ("test", "tests", "__tests__", "spec")


@dataclass(frozen=True, slots=True)
class Siblings:
    """What a recipe gets: the folder, the test files in it (relative paths), and the gate's command."""

    folder: Path
    tests: tuple[str, ...]
    command: CommandLine

    def text(self, path: str) -> str:
        try:
            with (self.folder / path).open("rb") as file:
                return file.read(_READ_MAX).decode("utf-8", "replace")
        except OSError:
            return ""


class NewContent(str):
    """The new content of an existing file; a plain `str` is the content of a new file."""

    __slots__ = ()


Recipe = Callable[["Siblings", "Words"], Mapping[str, str]]
"""A function named like its runner. It returns files by path: new ones, and existing ones as `NewContent`. It returns
none if it does not know how to write them."""


@dataclass(frozen=True, slots=True)
class Planted:
    """`words` is None if nothing was added; `why` is the reason, if there were tests beside which to add it."""

    words: Words | None = None
    note: str = ""
    why: str = ""
    broken: str = ""  # the path of the file that was broken


def plant(workspaces: Workspaces, request: GateRequest, tree: Path, hidden: Path | None) -> Planted:
    """Add tests that must fail, in the checkout `tree` or beside the held-out tests."""
    gate = request.gate
    folder = hidden or tree / gate.dir
    if gate.breaks:
        return _broken(workspaces, request, folder)
    tests = _hidden_tests(folder, gate) if hidden else _tests(workspaces, request, folder)
    if not tests:
        return Planted()
    siblings = Siblings(folder, tests, gate.command or CommandLine())
    words = new_words()
    files = recipe(gate.canary)(siblings, words)
    if not files:
        return Planted(why=f"none of the test files is written as {gate.canary} has them")
    for path, text in files.items():
        if not _written(folder, path, text):
            return Planted(why=f"{path} cannot be written")
    words = Words(words.name, words.failing, words.passing, words.left, words.right, len(files))
    listed = ", ".join(sorted(files)[:3]) + (", ..." if len(files) > 3 else "")
    done = "was changed" if any(isinstance(text, NewContent) for text in files.values()) else "was added"
    note = f"interlock: {listed} {done}: its tests {', '.join(words.failing)} must fail, and are not counted\n"
    return Planted(words, note)


def _broken(workspaces: Workspaces, request: GateRequest, folder: Path) -> Planted:
    """Break the first test file that the gate names and the base has too."""
    below = f"{request.gate.dir}/" if request.gate.dir else ""
    there = frozenset(workspaces.files(request.base_commit, request.gate.breaks))
    found = [
        path for glob in request.gate.breaks for path in workspaces.files(request.commit, (glob,)) if path in there
    ]
    inside = [path.removeprefix(below) for path in found if path.startswith(below)]
    words = new_words()
    for path in dict.fromkeys(inside[:_SIBLINGS_MAX]):
        siblings = Siblings(folder, (path,), request.gate.command or CommandLine())
        for name, text in recipe(request.gate.canary)(siblings, words).items():
            if _written(folder, name, text):
                note = f"interlock: {name} was broken: the command must fail\n"
                return Planted(words, note, broken=below + name)
    return Planted(why=f"none of {', '.join(request.gate.breaks)} can be broken")


def _tests(workspaces: Workspaces, request: GateRequest, folder: Path) -> tuple[str, ...]:
    """Test files that the gate probably collects, relative to its folder; those of the most probable folder first."""
    language = judge_files.LANGUAGES[_LANGUAGES[request.gate.canary]]
    below = f"{request.gate.dir}/" if request.gate.dir else ""
    folders = (*_FOLDERS, "src") if language is judge_files.RUST else _FOLDERS
    configured = python_files(folder) if request.gate.canary == "pytest" else ()
    named = configured or language.named
    found = workspaces.files(request.commit, (*named, *(f"**/{name}/**" for name in folders)))
    paths = [path.removeprefix(below) for path in found if path.startswith(below) and _is_code(path, language)]
    paths = [path for path in paths if matches_any(named, path)] or _by_folder(paths, language)
    if roots := _roots(request.gate, folder):
        paths = [path for path in paths if any(f"{path}/".startswith(root) for root in roots)]
    likely = [path for path in paths if not matches_any(_ASIDE, path)] or paths
    regular = (path for path in likely[:_SIBLINGS_MAX] if not (folder / path).is_symlink())
    return _ordered([path for path in regular if (folder / path).is_file()])


def _by_folder(paths: Sequence[str], language: judge_files.Language) -> list[str]:
    """Tests without a telling name: in Node every file in a folder of tests, in Rust any source."""
    if language is judge_files.RUST:
        return list(paths)
    if language is not judge_files.NODE:
        return []
    return [path for path in paths if {*_FOLDERS}.intersection(path.split("/")[:-1])]


def _hidden_tests(folder: Path, gate: Gate) -> tuple[str, ...]:
    language = judge_files.LANGUAGES[_LANGUAGES[gate.canary]]
    paths = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
    return _ordered([path for path in paths if _is_code(path, language) and _looks_like_test(path, language)])


def _is_code(path: str, language: judge_files.Language) -> bool:
    return matches_any(language.sources, path) and not judge_files.is_configuration(path)


def _looks_like_test(path: str, language: judge_files.Language) -> bool:
    return matches_any(language.named, path)


def _ordered(paths: Sequence[str]) -> tuple[str, ...]:
    """Files of the folder with most files first; if equal, of the one nearest to the root."""
    count = Counter(os.path.dirname(path) for path in paths)  # noqa: PTH120 - of text
    return tuple(sorted(paths, key=lambda path: (-count[os.path.dirname(path)], path.count("/"), path)))  # noqa: PTH120


def _roots(gate: Gate, folder: Path) -> tuple[str, ...]:
    """Folders in the command or in pytest's configuration, each with a slash at its end."""
    words = () if gate.used else commands.named(gate.command or CommandLine(), gate.canary)
    named = [re.split(r"[*{]", word)[0].rpartition("/")[0] if re.search(r"[*{]", word) else word for word in words]
    found = [_cleaned(word) for word in named if word.strip("./") and (folder / word).is_dir()]
    if not found and gate.canary == "pytest":
        found = [_cleaned(word) for word in _testpaths(folder) if (folder / word).is_dir()]
    return tuple(found)


def _cleaned(word: str) -> str:
    return os.path.normpath(word) + "/"


def python_files(folder: Path) -> tuple[str, ...]:
    """Globs of test files in pytest's configuration."""
    return tuple(word for word in _setting(folder, "python_files") if re.fullmatch(r"[\w*-]*\w[\w*-]*\.py", word))


def _testpaths(folder: Path) -> list[str]:
    return [word for word in _setting(folder, "testpaths") if word.strip("./")]


def _setting(folder: Path, key: str) -> list[str]:
    """The words of a setting of pytest."""
    for name in ("pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg"):
        text = Siblings(folder, (), CommandLine()).text(name)
        found = re.search(rf"^\s*{key}\s*=\s*(\[[^\]]*\]|(?:[^\n]*(?:\n[ \t]+\S[^\n]*)*))", text, re.M)
        if found:
            return re.findall(r"[\w./*-]+", found[1])
    return []


def recipe(runner: str) -> Recipe:
    module = import_module(f"interlock.gates.canary.{_MODULES[runner]}")
    return cast(Recipe, getattr(module, runner))


def _written(folder: Path, path: str, text: str) -> bool:
    """Whether it was written: only to a real folder of the checkout, and to an existing file only if it is
    NewContent."""
    target = folder / path
    parent = target.parent
    is_there = os.path.lexists(target)
    if not parent.resolve().is_relative_to(folder.resolve()) or is_there != isinstance(text, NewContent):
        return False
    if is_there and (target.is_symlink() or not target.is_file()):
        return False
    parent.mkdir(exist_ok=True)
    mode = parent.stat().st_mode
    parent.chmod(mode | 0o300)  # held-out files are read-only
    try:
        if is_there:
            target.unlink()  # a held-out file is read-only
        target.write_text(text, encoding="utf-8")
    finally:
        parent.chmod(mode)
    return True

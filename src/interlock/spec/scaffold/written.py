"""Writing a plan out. Rule: all or nothing as far as what lies there goes: no file is replaced unless forced."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from interlock.ports import InfrastructureError, UsageError
from interlock.spec.scaffold.planned import Scaffold
from interlock.spec.scaffold.setups.needs import extras_of, groups_of
from interlock.spec.sets import folder as look


def write(scaffold: Scaffold, root: Path, force: bool) -> tuple[Path, ...]:
    """Write the files below `root` and return the paths that were written; those that are there with the same
    content are left alone. Raises UsageError, and writes nothing, where one would be replaced without `force`,
    or where a folder is none."""
    wanted = [(root / name, content) for name, content in scaffold.files if not _same(root / name, content)]
    there = [path.relative_to(root).as_posix() for path, _ in wanted if path.exists() or path.is_symlink()]
    if there and not force:
        raise UsageError(f"{', '.join(there)} would be replaced: move them away, or run `interlock init --force`")
    _require_folders(root, {path.parent for path, _ in wanted})
    for path, content in wanted:
        _put(path, content)
    return tuple(path for path, _ in wanted)


def _require_folders(root: Path, folders: set[Path]) -> None:
    """A link would lead the files to somebody else's place."""
    for path in sorted({each for folder in folders for each in (folder, *folder.parents) if root in each.parents}):
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            what = "is a symlink" if path.is_symlink() else "is no folder"
            raise UsageError(f"{path.relative_to(root)} {what}: files are written there: move it away first")


def _same(path: Path, content: str) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == content.encode()
    except OSError:
        return False


def _put(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()  # what it leads to is not ours
        path.write_bytes(content.encode())
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be written: {error.strerror}", permanent=True) from error


_MODULE = re.compile(r"(?:No module named|import filter module) '?([A-Za-z]\w*)")
_PACKAGE = re.compile(r"Cannot find (?:module|package) '(@[\w.-]+/[\w.-]+|[\w-][\w.-]*)")
_PROGRAM = re.compile(r"line \d+: ([\w./-]+): command not found|sh: \d+: ([\w./-]+): not found")
_FIXTURE = re.compile(r"fixture '(\w+)' not found")
_FIXTURES = {
    "mocker": "pytest-mock",
    "benchmark": "pytest-benchmark",
    "httpbin": "pytest-httpbin",
    "snapshot": "syrupy",
}
MISSING_MAX = 5


def missing_in(root: Path, said: str) -> Iterator[str]:
    """A line for each thing that is missing, with what brings it where that is known."""
    for module in list(dict.fromkeys(_MODULE.findall(said)))[:MISSING_MAX]:
        yield f"the module {module} is missing: {_brought_by(root, module)}"
    for package in list(dict.fromkeys(_PACKAGE.findall(said)))[:MISSING_MAX]:
        yield f"the package {package} is missing: add it to the devDependencies, or to setup in .interlock/common.yaml"
    for program in list(dict.fromkeys(filter(None, (a or b for a, b in _PROGRAM.findall(said)))))[:MISSING_MAX]:
        yield f"the program {program} is missing: install it, or let setup in .interlock/common.yaml bring it"
    for fixture in list(dict.fromkeys(_FIXTURE.findall(said)))[:MISSING_MAX]:
        plugin = _FIXTURES.get(fixture, "the plugin of pytest that has it")
        yield f"the fixture {fixture} is missing: add {plugin} to setup in .interlock/common.yaml"


def _brought_by(root: Path, module: str) -> str:
    named = re.compile(rf"\b{re.escape(module).replace('_', '[-_]')}\b", re.I)
    for kind, tables in (("extra", extras_of(root)), ("group", groups_of(root))):
        for name, content in tables.items():
            if named.search(content):
                return f"the {kind} {name} brings it: add it to setup in .interlock/common.yaml"
    files = [name for name in look.files(root) if re.search(r"require[^/]*\.(txt|in)$", name)]
    for name in files[:100]:
        if named.search(look.text(root, name)):
            return f"{name} brings it: add `-r {name}` to setup in .interlock/common.yaml"
    return "add what brings it to setup in .interlock/common.yaml"

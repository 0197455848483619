"""A unified diff of git, as data. Pure.

Rule: every line is counted; lines beyond the bounds are not kept, and the number of them is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)", re.DOTALL)
_ESCAPE = re.compile(rb'\\([0-7]{3}|[abtnvfr"\\])')
_LETTERS = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}
_FILE = b"diff --git "
_START = re.compile(rb"^diff --git ", re.MULTILINE)
_BINARY = b"GIT binary patch"
_NO_NEWLINE = b"\\"
_SIZE = re.compile(rb"literal (\d+)$")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Lines that are kept at most: of all files, of a file, and characters of them all."""

    lines: int = 1_000_000
    of_file: int = 1_000_000
    characters: int = 100_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a hunk. A number is 0 on the side that has no such line. Bytes that are no UTF-8 are surrogates."""

    sign: str  # " ", "+" or "-"
    old: int
    new: int
    text: str
    has_newline: bool = True


@dataclass(frozen=True, slots=True)
class Hunk:
    """`old` and `new` are its first lines. `title` is what git found to name the place, such as a function."""

    old: int
    new: int
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class FilePatch:
    """The difference of one file. The paths are equal unless it was renamed or copied."""

    path: str  # bytes decoded with surrogateescape, as all paths
    old_path: str
    status: str  # added | deleted | changed | renamed | copied
    old_mode: str = ""  # six octal digits, empty where the mode stays or there is no file
    new_mode: str = ""
    similarity: int = 100  # percent, of what was renamed or copied
    is_binary: bool = False
    size: int = -1  # bytes of a binary file; -1 is unknown
    added: int = 0
    removed: int = 0
    hunks: tuple[Hunk, ...] = ()
    dropped: int = 0  # lines that were not kept
    digest: str = ""  # of all of it, also of what is not kept


def read_patch(patch: bytes, bounds: Bounds | None = None) -> tuple[FilePatch, ...]:
    """The files of a patch between two trees, in its order. A small file is whole beside a large one: those with few
    lines are kept first."""
    left = bounds or Bounds()
    sections = list(_sections(patch))
    found: dict[int, FilePatch] = {}
    for number in sorted(range(len(sections)), key=lambda number: len(sections[number])):
        file, kept = _file(sections[number], left)
        found[number] = file
        rows = sum(len(hunk.rows) for hunk in file.hunks)
        left = replace(left, lines=left.lines - rows, characters=left.characters - kept)
    return tuple(found[number] for number in range(len(sections)))


def without_binary(patch: bytes) -> tuple[bytes, tuple[FilePatch, ...]]:
    """A patch without the contents of binary files, and which of them are there after it."""
    parts: list[bytes] = []
    found: list[FilePatch] = []
    for lines in _sections(patch) if _BINARY in patch else ():
        at = next((number for number, line in enumerate(lines) if line == _BINARY), len(lines))
        parts += lines[:at]
        if at < len(lines):
            file = _header(lines[: at + 2])
            size = f", {file.size:,} bytes" if file.size >= 0 and file.status != "deleted" else ""
            parts.append(f"binary file{size}: not shown".encode())
            found += [file] * (file.status != "deleted")
    return b"".join(line + b"\n" for line in parts) or patch, tuple(found)


def with_last(patch: bytes, folder: str) -> bytes:
    """The patch with the files below `folder` behind all others."""
    starts = [found.start() for found in _START.finditer(patch)]
    sections = [patch[start:end] for start, end in zip(starts, [*starts, len(patch)][1:], strict=True)]
    below = tuple(_FILE + quote + b"a/" + folder.encode() + b"/" for quote in (b"", b'"'))
    ordered = sorted(sections, key=lambda section: section.startswith(below))
    return b"".join(ordered) if ordered else patch


def _sections(patch: bytes) -> Iterator[list[bytes]]:
    """The lines of each file. A line of a file's content never starts with what starts a section."""
    lines = patch.split(b"\n")
    if not lines[-1]:
        lines.pop()
    starts = [number for number, line in enumerate(lines) if line.startswith(_FILE)]
    for start, end in zip(starts, [*starts, len(lines)][1:], strict=True):
        yield lines[start:end]


def _file(lines: list[bytes], left: Bounds) -> tuple[FilePatch, int]:
    """The file, and how many characters of it are kept."""
    body = next((number for number, line in enumerate(lines) if line.startswith(b"@@ ")), len(lines))
    file = _header(lines[:body])
    added = sum(line.startswith(b"+") for line in lines[body:])
    removed = sum(line.startswith(b"-") for line in lines[body:])
    hunks, kept, dropped = _hunks(lines[body:], left)
    digest = sha256(b"\n".join(lines)).hexdigest()[:16]
    return replace(file, added=added, removed=removed, hunks=hunks, dropped=dropped, digest=digest), kept


def _header(lines: list[bytes]) -> FilePatch:
    old, new = _names(lines[0].removeprefix(_FILE))
    file = FilePatch(new, old, "changed")
    for number, line in enumerate(lines[1:], 2):
        key, _, value = line.partition(b" ")
        match key:
            case b"---" if value != b"/dev/null":
                file = replace(file, old_path=_name(value, b"a/"))
            case b"+++" if value != b"/dev/null":
                file = replace(file, path=_name(value, b"b/"))
            case b"old" | b"new" | b"deleted":
                file = _with_mode(file, key, value)
            case b"rename" | b"copy":
                file = _moved(replace(file, status="renamed" if key == b"rename" else "copied"), value)
            case b"similarity":
                file = replace(file, similarity=int(re.sub(rb"\D", b"", value) or b"0"))
            case b"Binary" | b"GIT":
                size = _SIZE.match(b"".join(lines[number : number + 1]))
                file = replace(file, is_binary=True, size=int(size[1]) if size else -1)
                break
            case _:
                pass
    if file.status == "added":
        return replace(file, old_path=file.path)
    return replace(file, path=file.old_path) if file.status == "deleted" else file


def _with_mode(file: FilePatch, key: bytes, value: bytes) -> FilePatch:
    """Of `old mode`, `new mode`, `new file mode` and `deleted file mode`."""
    what, _, mode = value.decode("ascii", "replace").rpartition(" ")
    if what.startswith("file"):
        file = replace(file, status="added" if key == b"new" else "deleted")
    return replace(file, new_mode=mode) if key == b"new" else replace(file, old_mode=mode)


def _moved(file: FilePatch, value: bytes) -> FilePatch:
    side, _, name = value.partition(b" ")
    return replace(file, old_path=_name(name)) if side == b"from" else replace(file, path=_name(name))


def _names(both: bytes) -> tuple[str, str]:
    """Of `a/OLD b/NEW`, where the names are equal; the lines below name what is not."""
    half = len(both) // 2
    return _name(both[:half], b"a/"), _name(both[half + 1 :], b"b/")


def _name(name: bytes, prefix: bytes = b"") -> str:
    name = name.removesuffix(b"\t")  # behind a name with blanks
    if name.startswith(b'"') and name.endswith(b'"'):
        name = _ESCAPE.sub(_byte, name[1:-1])
    return name.removeprefix(prefix).decode("utf-8", "surrogateescape")


def _byte(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return bytes([int(code, 8)]) if len(code) == 3 else _LETTERS.get(code, code)


def _hunks(lines: list[bytes], left: Bounds) -> tuple[tuple[Hunk, ...], int, int]:
    """The hunks, and how many characters are kept and lines dropped."""
    hunks: list[Hunk] = []
    rows: list[Row] = []
    room, characters, dropped = min(left.lines, left.of_file), 0, 0
    old = new = 0
    for line in lines:
        if found := _HUNK.match(line):
            _close(hunks, rows)
            old, new = _start(found[1], found[2]), _start(found[3], found[4])
            hunks.append(Hunk(old, new, found[5].decode("utf-8", "surrogateescape"), ()))
        elif line.startswith(_NO_NEWLINE):
            if rows and not dropped:
                rows[-1] = replace(rows[-1], has_newline=False)
        elif room <= 0 or characters + len(line) > left.characters:
            room, dropped = 0, dropped + 1
        else:
            sign = line[:1].decode("ascii", "replace")
            text = line[1:].decode("utf-8", "surrogateescape")
            rows.append(Row(sign, old * (sign != "+"), new * (sign != "-"), text))
            room, characters = room - 1, characters + len(line)
            old, new = old + (sign != "+"), new + (sign != "-")
    _close(hunks, rows)
    return tuple(hunk for hunk in hunks if hunk.rows), characters, dropped


def _start(number: bytes, count: bytes | None) -> int:
    """The first line; where a side has none, git names the line before."""
    return int(number) + (count == b"0")


def _close(hunks: list[Hunk], rows: list[Row]) -> None:
    if hunks:
        hunks[-1] = replace(hunks[-1], rows=tuple(rows))
    rows.clear()

"""Paths that stay out of a candidate: ignored by `.gitignore`, by the rules of gitignore(5), or caches of tools.

Rule: the patterns come from an accepted tree and never from the folder that is read, so an agent cannot hide a file by
ignoring it.

Rule: only new paths can be caches, never those of the accepted input. A folder may mark itself as a cache: whatever is
left out is gone, so no gate, no later stage and no delivery ever sees it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of a `.gitignore`. It matches paths relative to the folder of that file."""

    regex: re.Pattern[bytes]
    negated: bool
    folders_only: bool


class Ignores:
    """All `.gitignore` files of a tree, by their folder."""

    def __init__(self, files: Mapping[bytes, bytes]) -> None:
        self._patterns = {folder: tuple(parsed(content)) for folder, content in files.items()}

    def matches(self, path: bytes, *, is_folder: bool) -> bool:
        """Whether `path` itself is ignored. The caller must also leave out what is below an ignored folder."""
        for folder in _folders_of(path):
            patterns = self._patterns.get(folder)
            if not patterns:
                continue
            relative = path[len(folder) + 1 :] if folder else path
            for pattern in reversed(patterns):
                if (is_folder or not pattern.folders_only) and pattern.regex.fullmatch(relative):
                    return not pattern.negated
        return False


def parsed(content: bytes) -> Iterable[Pattern]:
    """The patterns of a `.gitignore`, in its order."""
    for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        pattern = _pattern(line.removesuffix(b"\r"))
        if pattern is not None:
            yield pattern


def _pattern(line: bytes) -> Pattern | None:
    line = _without_trailing_blanks(line)
    if not line or line.startswith(b"#"):
        return None
    negated = line.startswith(b"!")
    if negated:
        line = line[1:]
    folders_only = line.endswith(b"/")
    line = line.removesuffix(b"/")
    if not line:
        return None
    anchored = b"/" in line
    regex = _translated(line.removeprefix(b"/"))
    if regex is None:
        return None
    prefix = b"" if anchored else b"(?:.*/)?"
    return Pattern(re.compile(prefix + regex, re.DOTALL), negated, folders_only)


def _without_trailing_blanks(line: bytes) -> bytes:
    while line.endswith(b" ") and not line.endswith(b"\\ "):
        line = line[:-1]
    return line


@lru_cache(maxsize=4096)
def _translated(glob: bytes) -> bytes | None:
    """The glob as a regular expression; None if it can never match."""
    out = b""
    at = 0
    while at < len(glob):
        step = _next(glob, at)
        if step is None:
            return None
        piece, at = step
        out += piece
    return out


def _next(glob: bytes, at: int) -> tuple[bytes, int] | None:
    letter = glob[at : at + 1]
    if letter == b"*":
        return _stars(glob, at)
    if letter == b"?":
        return b"[^/]", at + 1
    if letter == b"[":
        return _class(glob, at)
    if letter == b"\\":
        if at + 1 == len(glob):
            return None
        return re.escape(glob[at + 1 : at + 2]), at + 2
    return re.escape(letter), at + 1


def _stars(glob: bytes, at: int) -> tuple[bytes, int]:
    end = at
    while glob[end : end + 1] == b"*":
        end += 1
    starts = at == 0 or glob[at - 1 : at] == b"/"
    if end - at == 2 and starts:
        if glob[end : end + 1] == b"/":
            return b"(?:.*/)?", end + 1
        if end == len(glob):
            return b".+" if at else b".*", end
    return b"[^/]*", end


_NAMED = {
    b"alnum": b"a-zA-Z0-9", b"alpha": b"a-zA-Z", b"blank": rb" \t", b"cntrl": rb"\x00-\x1f\x7f", b"digit": b"0-9",
    b"graph": rb"\x21-\x7e", b"lower": b"a-z", b"print": rb"\x20-\x7e", b"punct": rb"!-\x2f:-@\x5b-`{-~",
    b"space": rb" \t\n\r\f\v", b"upper": b"A-Z", b"xdigit": b"0-9a-fA-F",
}  # fmt: skip


def _class(glob: bytes, at: int) -> tuple[bytes, int] | None:
    at += 1
    negated = glob[at : at + 1] in (b"!", b"^")
    at += negated
    body, first = b"", True
    while first or glob[at : at + 1] != b"]":
        first = False
        named = re.compile(rb"\[:(\w+):\]").match(glob, at)
        if named:
            if named[1] not in _NAMED:
                return None
            body, at = body + _NAMED[named[1]], named.end()
            continue
        low = _member(glob, at)
        if low is None:
            return None
        letter, at = low
        if glob[at : at + 1] == b"-" and glob[at + 1 : at + 2] not in (b"]", b""):
            high = _member(glob, at + 1)
            if high is None:
                return None
            last, at = high
            body += re.escape(letter) + b"-" + re.escape(last) if letter <= last else b""
        else:
            body += re.escape(letter)
    if not body:
        return (b"[^/]" if negated else b"(?!)"), at + 1
    return b"(?!/)[" + (b"^" if negated else b"") + body + b"]", at + 1


def _member(glob: bytes, at: int) -> tuple[bytes, int] | None:
    if glob[at : at + 1] == b"\\":
        at += 1
    letter = glob[at : at + 1]
    return (letter, at + 1) if letter else None


def _folders_of(path: bytes) -> Iterable[bytes]:
    """The folders above `path`, the deepest first: its `.gitignore` takes precedence."""
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path
    yield b""


# --- caches ----------------------------------------------------------------------------------


_FOLDERS = frozenset({
    b"__pycache__", b".pytest_cache", b".ruff_cache", b".mypy_cache", b".pyre", b".pytype", b".hypothesis", b".nox",
    b".tox", b".nyc_output", b".eslintcache", b".turbo", b".parcel-cache", b".gradle",
})  # fmt: skip
_FILES = re.compile(rb"\.coverage(\..+\.\d+\..+)?|\.eslintcache|\.stylelintcache|\.dmypy\.json|\.testmondata.*")
_TAG = b"Signature: 8a477f597d28d172789f06886806bc55"  # https://bford.info/cachedir/
_MARKER_MAX = 4096  # bytes
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def is_cache(parent: int, name: bytes, *, is_folder: bool) -> bool:
    """Whether `name` in the open folder `parent` is a known cache, or a folder that marks itself as one, with a
    `CACHEDIR.TAG` or a `.gitignore` that ignores everything in it."""
    if not is_folder:
        return _FILES.fullmatch(name) is not None
    if name in _FOLDERS:
        return True
    try:
        folder = os.open(name, _FOLDER_FLAGS, dir_fd=parent)
    except OSError:
        return False  # the walk reports what is wrong with it
    try:
        return _read(folder, b"CACHEDIR.TAG").startswith(_TAG) or _ignores_all(_read(folder, b".gitignore"))
    finally:
        os.close(folder)


def _ignores_all(content: bytes) -> bool:
    lines = {line.strip() for line in content.split(b"\n")}
    return b"*" in lines and not any(line.startswith(b"!") for line in lines)


def _read(folder: int, name: bytes) -> bytes:
    """The content of a small regular file; empty for anything else."""
    try:
        fd = os.open(name, _FILE_FLAGS, dir_fd=folder)
    except OSError:
        return b""
    try:
        status = os.fstat(fd)
        return os.read(fd, _MARKER_MAX) if stat.S_ISREG(status.st_mode) and status.st_size <= _MARKER_MAX else b""
    finally:
        os.close(fd)

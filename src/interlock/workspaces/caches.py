"""What tools leave behind for themselves: caches that no commit is to hold, whatever `.gitignore` says of them.

Rule: only what is new is asked of, never what the accepted input has. A folder may say it of itself, for what is left
out is gone: no candidate holds it, so that no gate, no later stage and no delivery ever sees it.
"""

from __future__ import annotations

import os
import re
import stat

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
    """Whether `name` in the open folder `parent` is known as a cache, or is a folder that says so of itself: by a
    `CACHEDIR.TAG`, or by a `.gitignore` that ignores all of it."""
    if not is_folder:
        return _FILES.fullmatch(name) is not None
    if name in _FOLDERS:
        return True
    try:
        folder = os.open(name, _FOLDER_FLAGS, dir_fd=parent)
    except OSError:
        return False  # the walk tells what is wrong with it
    try:
        return _read(folder, b"CACHEDIR.TAG").startswith(_TAG) or _ignores_all(_read(folder, b".gitignore"))
    finally:
        os.close(folder)


def _ignores_all(content: bytes) -> bool:
    lines = {line.strip() for line in content.split(b"\n")}
    return b"*" in lines and not any(line.startswith(b"!") for line in lines)


def _read(folder: int, name: bytes) -> bytes:
    """The content of a small plain file, empty where it is none."""
    try:
        fd = os.open(name, _FILE_FLAGS, dir_fd=folder)
    except OSError:
        return b""
    try:
        status = os.fstat(fd)
        return os.read(fd, _MARKER_MAX) if stat.S_ISREG(status.st_mode) and status.st_size <= _MARKER_MAX else b""
    finally:
        os.close(fd)

"""A protected file in conflict: what may become of it. Pure.

Rule: each side was accepted, so a file may be as one of them left it. A file of tests may also hold both: every line of
each side, in order, and nothing else but imports on one line that name more.
"""

from __future__ import annotations

from collections import Counter

from interlock.core.globs import matches_any
from interlock.core.growth import SNAPSHOTS, grew, names_more
from interlock.core.judge_files import is_configuration, is_test_code

_OURS, _BASE, _THEIRS, _END = b"<<<<<<< ", b"||||||| ", b"=======", b">>>>>>> "


def may_hold_both(path: str) -> bool:
    return not is_configuration(path) and (is_test_code(path) or matches_any(SNAPSHOTS, path))


def is_reconciled(path: str, marked: bytes, new: bytes) -> bool:
    """Whether `new` is what may become of the file that merging left as `marked`."""
    sides = sides_of(marked)
    if sides is None:
        return False
    if new in sides:
        return True
    ours, theirs = sides
    return may_hold_both(path) and grew(path, ours, new) and grew(path, theirs, new) and brings_nothing(sides, new)


def sides_of(marked: bytes) -> tuple[bytes, bytes] | None:
    """The two contents; None where the marks are not those of one merge of two."""
    kept: tuple[list[bytes], list[bytes]] = ([], [])
    place = ""
    for line in marked.splitlines(keepends=True):
        mark = next((mark for mark in (_OURS, _BASE, _END) if line.startswith(mark)), b"")
        mark = mark or (_THEIRS if place and line.rstrip(b"\r\n") == _THEIRS else b"")
        after = {(_OURS, ""): "ours", (_BASE, "ours"): "base", (_THEIRS, "ours"): "theirs", (_THEIRS, "base"): "theirs",
                 (_END, "theirs"): "end"}.get((mark, place))  # fmt: skip
        if mark and after is None:
            return None
        if after is not None:
            place = "" if after == "end" else after
            continue
        for side, name in zip(kept, ("ours", "theirs"), strict=True):
            if place in ("", name):
                side.append(line)
    return None if place else (b"".join(kept[0]), b"".join(kept[1]))


def brings_nothing(sides: tuple[bytes, bytes], new: bytes) -> bool:
    """Whether `new` has no line that neither side has."""
    ours, theirs = (side.split(b"\n") for side in sides)
    known = Counter(ours) + Counter(theirs)
    strange = [line for line, count in Counter(new.split(b"\n")).items() if line.strip() and count > known[line]]
    return all(any(names_more(old, line) for old in (*ours, *theirs)) for line in strange)

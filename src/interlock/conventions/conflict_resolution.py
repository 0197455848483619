"""A protected file in conflict: what may become of it. Pure.

Rule: each side was accepted, so a file may be as one of them left it. A file of tests may also hold both: every line of
each side, in order, those of the base once, and nothing else but imports that name more.
"""

from __future__ import annotations

from collections.abc import Iterator

from interlock.conventions.growth import SNAPSHOTS, grew, joined, names_more
from interlock.conventions.judge_files import is_configuration, is_test_code
from interlock.text.globs import matches_any

_OURS, _BASE, _THEIRS, _END = b"<<<<<<< ", b"||||||| ", b"=======", b">>>>>>> "
_TRIED_MAX = 100_000

_At = tuple[int, int, int, int]  # how many lines of ours, theirs, base and the new file are taken


def may_hold_both(path: str) -> bool:
    return not is_configuration(path) and (is_test_code(path) or matches_any(SNAPSHOTS, path))


def is_reconciled(path: str, marked: bytes, new: bytes, base: bytes = b"") -> bool:
    """Whether `new` is what may become of the file that merging left as `marked`. `base` is the file that both sides
    began with."""
    sides = sides_of(marked)
    if sides is None:
        return False
    if new in sides:
        return True
    ours, theirs = sides
    return (
        may_hold_both(path) and grew(path, ours, new) and grew(path, theirs, new) and _is_woven(path, sides, base, new)
    )


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


def _is_woven(path: str, sides: tuple[bytes, bytes], base: bytes, new: bytes) -> bool:
    """Whether each line of `new` is the next one of a side, or of both, to the end of both; what both have of the base
    comes once, and so each of them added where it did. Blank lines do not count."""
    ours, theirs, lines = (_lines(joined(path, each)) for each in (*sides, new))
    texts = (ours, theirs, _kept_by_both(_lines(joined(path, base)), ours, theirs), lines)
    end = tuple(len(text) for text in texts)
    seen: set[_At] = set()
    waiting: list[_At] = [(0, 0, 0, 0)]
    while waiting and len(seen) < _TRIED_MAX:
        at = waiting.pop()
        if at == end:
            return True
        if at not in seen and at[3] < len(lines):
            seen.add(at)
            waiting += _steps(texts, at)
    return False


def _steps(texts: tuple[list[bytes], ...], at: _At) -> Iterator[_At]:
    """Whose line the next one may be, the likeliest last."""
    line = texts[3][at[3]]
    ours, theirs, base = (
        place < len(text) and _is_kept(text[place], line) for text, place in zip(texts[:3], at, strict=False)
    )
    if ours:
        yield at[0] + 1, at[1], at[2], at[3] + 1
    if theirs:
        yield at[0], at[1] + 1, at[2], at[3] + 1
    if ours and theirs:
        yield at[0] + 1, at[1] + 1, at[2], at[3] + 1
    if ours and theirs and base:
        yield at[0] + 1, at[1] + 1, at[2] + 1, at[3] + 1


def _kept_by_both(base: list[bytes], ours: list[bytes], theirs: list[bytes]) -> list[bytes]:
    kept = []
    at = [0, 0]
    for line in base:
        found = [
            next((n for n in range(p, len(s)) if _is_kept(line, s[n])), -1)
            for p, s in zip(at, (ours, theirs), strict=True)
        ]
        if -1 not in found:
            kept.append(line)
            at = [place + 1 for place in found]
    return kept


def _is_kept(line: bytes, other: bytes) -> bool:
    return line == other or names_more(line, other)


def _lines(content: bytes) -> list[bytes]:
    return [line for line in content.split(b"\n") if line.strip()]

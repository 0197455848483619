"""The hunks of a change that is drawn: which follow each other, and the lines beside them to show next. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from interlock.web.rendering import Line

DrawnHunk = tuple[tuple[str, str], tuple[Line, ...]]  # its place: line numbers, and what stands there

_MORE = 20  # lines that are shown at once beside a hunk
_CONTEXT = 3  # lines that git shows around what changed
_ASKED = re.compile(r"(.{1,4000}):(\d{1,7})-(\d{1,7})", re.DOTALL)
_ASKED_MAX = 100


def asked_lines(more: Sequence[str]) -> dict[str, set[int]]:
    """The lines of each file that are asked for as `FILE:FIRST-LAST`. What is no such text asks for nothing."""
    found: dict[str, set[int]] = {}
    for file, first, last in (match.groups() for match in map(_ASKED.fullmatch, more[:_ASKED_MAX]) if match):
        found.setdefault(file, set()).update(range(int(first), min(int(last), int(first) + _MORE) + 1))
    return found


def joined(hunks: Iterable[DrawnHunk]) -> Iterator[DrawnHunk]:
    """Hunks that follow each other without a gap are one."""
    before: DrawnHunk | None = None
    for hunk in hunks:
        if before is None:
            before = hunk
        elif _ends(before)[1] + 1 == _ends(hunk)[0]:
            lines = (*before[1], *hunk[1])
            first, last = _ends((hunk[0], lines))
            before = (f"lines {first} to {last}", before[0][1] or hunk[0][1]), lines
        else:
            yield before
            before = hunk
    if before is not None:
        yield before


def _ends(hunk: DrawnHunk) -> tuple[int, int]:
    """Its first and its last line, in the new version if there is one."""
    numbers = [line.new for line in hunk[1] if line.new] or [line.old for line in hunk[1]]
    return numbers[0], numbers[-1]


def gaps_of(hunks: Sequence[DrawnHunk], *, is_cut: bool) -> list[tuple[int, int]]:
    """For each hunk the lines above it that can be shown next, and at last those below all of them: none where the file
    is known to end. `is_cut`: its end is not there."""
    gaps, last = [], 0
    for hunk in hunks:
        first = _ends(hunk)[0]
        gaps.append((max(last + 1, first - _MORE), first - 1) if first > last + 1 else (0, 0))
        last = _ends(hunk)[1]
    end = hunks[-1][1][-_CONTEXT:] if hunks else ()
    goes_on = len(end) == _CONTEXT and all(line.kind == "same" and not line.note for line in end)
    return [*gaps, (last + 1, last + _MORE) if goes_on and not is_cut else (0, 0)]

"""The axis of a timeline: time as places in percent, with long pauses folded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

FULL = 100.0  # percent: the whole axis
_IDLE_S = 10.0  # shorter pauses are never folded
_IDLE_SHARE = 0.05  # nor are those that are shorter than this share of the work
_FOLDS_MAX = 12
_FOLD = 4.0  # percent: the width of a folded pause
_FOLDED_MAX = 36.0  # percent: of all of them


@dataclass(frozen=True, slots=True)
class Piece:
    """Some time, from `start` to `end`, and where it lies on the axis in percent. What is folded is narrow."""

    start: float
    end: float
    x: float
    width: float
    folded: bool

    @property
    def seconds(self) -> float:
        return self.end - self.start


def fold(start: float, end: float, busy: Iterable[tuple[float, float]]) -> tuple[Piece, ...]:
    """The time from `start` to `end` in pieces without a gap. Long pauses between what is `busy` are folded, at most
    twelve; all other time has one scale."""
    merged = merged_spans(start, end, busy)
    work = sum(to - begin for begin, to in merged)
    edges = [(start, start), *merged, (end, end)]
    least = max(_IDLE_S, _IDLE_SHARE * work)
    pauses = [(one[1], two[0]) for one, two in pairwise(edges) if two[0] - one[1] > least] if merged else []
    folded = sorted(sorted(pauses, key=lambda pause: pause[0] - pause[1])[:_FOLDS_MAX])
    shown = end - start - sum(to - begin for begin, to in folded)
    if shown <= 0.001:  # nothing would be left but folds
        folded, shown = [], end - start
    narrow = min(_FOLD, _FOLDED_MAX / len(folded)) if folded else 0.0
    scale = (FULL - narrow * len(folded)) / max(shown, 0.001)
    pieces: list[Piece] = []
    at, x = start, 0.0
    for begin, to in [*folded, (end, end)]:
        if begin > at:
            pieces.append(Piece(at, begin, x, (begin - at) * scale, folded=False))
            x += (begin - at) * scale
        if to > begin:
            pieces.append(Piece(begin, to, x, narrow, folded=True))
            x += narrow
        at = to
    return tuple(pieces)


def position(pieces: Sequence[Piece], moment: float) -> float:
    """Where `moment` lies on the axis, in percent."""
    for piece in pieces:
        if moment <= piece.end:
            share = (moment - piece.start) / piece.seconds if piece.seconds else 0.0
            return piece.x + piece.width * max(0.0, share)
    return FULL


def merged_spans(start: float, end: float, spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The spans within the time from `start` to `end`, those that touch as one."""
    merged: list[tuple[float, float]] = []
    for begin, to in sorted((max(start, begin), min(end, to)) for begin, to in spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], to))
        elif begin <= to:
            merged.append((begin, to))
    return merged

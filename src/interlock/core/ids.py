"""Names of things inside a run, derived and never random.

`code/2.1` is the first attempt at stage `code` in its second epoch. Two numbers are reserved:
`code/2.0` is the accepted *input* of that epoch before anybody worked on it, and `code/0.0` is the
run's *base* seen by the gates of `code`. Both are judged like candidates, so they are named like them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from interlock.core.values import constructor

STAGE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,47}")
_STAGE_ITEM_EPOCH = re.compile(r"(?P<stage>[a-z][a-z0-9_-]*)(?:\[(?P<item>[^\]]+)\])?/(?P<epoch>\d+)")


@dataclass(frozen=True, slots=True, order=True)
class AttemptId:
    """One try at a stage in an epoch. `item` is empty but for stages that fan out."""

    stage: str
    epoch: int
    number: int
    item: str = ""

    def __str__(self) -> str:
        key = f"[{self.item}]" if self.item else ""
        return f"{self.stage}{key}/{self.epoch}.{self.number}"

    @property
    def is_base(self) -> bool:
        return self.epoch == 0

    @property
    def is_input(self) -> bool:
        return self.epoch > 0 and self.number == 0


def base_of(stage: str) -> AttemptId:
    """The run's base, as the gates of `stage` see it."""
    return AttemptId(stage, 0, 0)


def input_of(stage: str, epoch: int) -> AttemptId:
    """The accepted input of `stage` in `epoch`."""
    return AttemptId(stage, epoch, 0)


@lru_cache(maxsize=64)  # events about the same attempt follow each other
def parse_attempt(text: str) -> AttemptId:
    """Read `stage[item]/epoch.number`. Raises ValueError where the text has another shape."""
    place, _, number = text.rpartition(".")
    known = _stage_item_epoch(place)
    if known is None or not number.isdecimal():
        raise ValueError(f"{text!r} is no attempt: expected STAGE/EPOCH.NUMBER such as code/1.2")
    stage, item, epoch = known
    return _attempt_id(stage, epoch, int(number), item)


_attempt_id = constructor(AttemptId)


@lru_cache(maxsize=1 << 12)
def _stage_item_epoch(text: str) -> tuple[str, str, int] | None:
    match = _STAGE_ITEM_EPOCH.fullmatch(text)
    return None if match is None else (match["stage"], match["item"] or "", int(match["epoch"]))

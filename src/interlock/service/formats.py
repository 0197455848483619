"""Values as versioned JSON, and amounts as words.

Rule: the shape of the JSON is that of the views and events; a new meaning is a new version.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from math import floor
from typing import Any

from interlock.core.events import Recorded, Usage
from interlock.core.ids import AttemptId
from interlock.core.state import Spending
from interlock.readmodel.run import RunSummary
from interlock.text.sizes import size_words

VERSION = 1


def document(**parts: object) -> str:
    """`{"version": 1, ...}`, indented for people."""
    return json.dumps({"version": VERSION, **{name: to_json(part) for name, part in parts.items()}}, indent=2)


def line(**parts: object) -> str:
    """The same in one line, as an entry of NDJSON."""
    return json.dumps({"version": VERSION, **{name: to_json(part) for name, part in parts.items()}})


def event_line(run: str, record: Recorded) -> str:
    """An event of the journal as a line of NDJSON."""
    return line(run=run, seq=record.seq, at=record.at, kind=type(record.event).__name__, event=record.event)


def to_json(value: object) -> object:
    """Dataclasses as objects, attempts as their names, enums as their values."""
    return _form(type(value))(value)  # type: ignore[arg-type]


@cache
def _form(kind: type) -> Callable[[Any], object]:
    """How values of a class are written: found once, since a long run has a hundred thousand of them."""
    if issubclass(kind, AttemptId):
        return str
    if is_dataclass(kind):
        names = tuple(known.name for known in fields(kind))
        return lambda value: {name: to_json(getattr(value, name)) for name in names}
    if issubclass(kind, Mapping):
        return lambda value: {str(key): to_json(item) for key, item in value.items()}
    if issubclass(kind, list | tuple | set | frozenset):
        return lambda value: [to_json(item) for item in value]
    return lambda value: value


# --- amounts --------------------------------------------------------------------------------------


def count(number: int, thing: str) -> str:
    """`1 finding`, `2 findings`, `2 branches`."""
    ending = "" if number == 1 else "es" if thing.endswith(("ch", "sh", "s", "x")) else "s"
    return f"{number} {thing}{ending}"


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `11th`, `23rd`."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"


def size(bytes_count: int) -> str:
    """`0 B`, `12 kB`, `3.4 MB`: powers of a thousand."""
    return size_words(bytes_count)


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{max(0.0, seconds):.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def moment(at: float) -> str:
    """Local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


_NOW_S = 5


def ago(seconds: float) -> str:
    """How long since, roughly: `now`, `40 s ago`, `5 min ago`, `3 h ago`, `2 d ago`."""
    for size_s, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size_s:
            return f"{int(seconds // size_s)} {unit} ago"
    return f"{int(seconds)} s ago" if seconds >= _NOW_S else "now"


def tokens(number: int) -> str:
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= unit:
            return f"{number / unit:.1f}{letter} tokens"
    return count(number, "token")


def cost(dollars: float, *, known: bool = True) -> str:
    """A sum of which a part is not known is `at least` that, rounded down."""
    digits = 2 if dollars >= 0.01 or dollars == 0 else 4
    amount = f"${dollars if known else floor(dollars * 10**digits + 1e-9) / 10**digits:.{digits}f}"
    return amount if known else f"at least {amount}"


def usage(used: Usage) -> str:
    """Empty if the agent reported nothing: unknown is not zero."""
    parts = []
    if used.tokens_in is not None or used.tokens_out is not None:
        parts.append(tokens((used.tokens_in or 0) + (used.tokens_out or 0)))
    if used.cost_usd is not None:
        parts.append(cost(used.cost_usd))
    return ", ".join(parts)


def paid(amount: Spending) -> Iterator[str]:
    """Tokens and money, as far as they are known."""
    if amount.tokens:
        yield tokens(amount.tokens)
    if amount.cost_usd or (amount.cost_known and amount.tokens):
        yield cost(amount.cost_usd, known=amount.cost_known)


def done(attempts: int, reviews: int = 0) -> str:
    """`2 attempts`, `3 reviews`, `2 attempts, 1 review`."""
    parts = [count(attempts, "attempt")] if attempts or not reviews else []
    return ", ".join([*parts, *([count(reviews, "review")] if reviews else [])])


def spent(view: RunSummary) -> str:
    """The time is that in which an agent or a gate was at work."""
    time_s = f"{duration(view.spent.wall_s)} at work"
    return ", ".join([count(view.spent.attempts, "attempt"), *paid(view.spent), time_s])

"""Going on with a program's own session where its endpoint ended it in the middle of its work, so that none is lost.

Rule: only where the model had answered before, only for a wait of a minute at most, and twice; once where the program
had tried again for long enough by itself. What takes longer is for the run to wait for. What each try used is counted.

How long a program that tries again by itself is let: until it is of no use, and the run can wait in its place.

Rule: it is ended as by a cancel, and what it said of itself decides what became of it. Its own log is looked at once a
second, and only the end of it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from interlock.agents.failures import classify_failure
from interlock.core.effects import Remaining
from interlock.core.events import Usage
from interlock.ports import Cancel, Ended, Outcome

GO_ON = 2
WORDS = (
    "The model's endpoint failed in the middle of your work. All that you did is still there: go on where you were, "
    "and finish the task that you were given."
)
_WAIT_MAX_S = 60.0
_WAITS_S = (5.0, 20.0)


def goes_on(outcome: Outcome, *, begun: bool, tried: int = -1) -> bool:
    """`tried` is how often it went on before, where it was ended while it tried again by itself: a limit without a time
    is one then that it was told to wait for."""
    if tried > 0 or (tried == 0 and outcome.ended is Ended.RATE_LIMITED and not outcome.retry_at):
        return False
    passing = outcome.ended in (Ended.RATE_LIMITED, Ended.UNAVAILABLE) and not outcome.permanent
    return begun and passing and outcome.retry_at - time.time() <= _WAIT_MAX_S


def pause_s(outcome: Outcome, tries: int) -> float:
    """Until the time that was named, else a few seconds."""
    named = outcome.retry_at - time.time()
    return named if outcome.retry_at and named > 0 else _WAITS_S[min(tries, len(_WAITS_S) - 1)]


def less(left: Remaining, used: Usage, cumulative: Collection[str]) -> Remaining:
    """What is left for the next try. A program that counts its cost over its whole session reckons with it itself."""
    cost = 0.0 if "cost_usd" in cumulative else used.cost_usd or 0.0
    return Remaining(left.tokens - (used.tokens_in or 0) - (used.tokens_out or 0), left.cost_usd - cost)


def known(told: Usage, before: Usage) -> Usage:
    """What it told last, or what was known before where it told nothing."""
    return before if told == Usage() else told


def set_aside(log: Path | None) -> Path | None:
    """The log of a try, out of the way of the next one's."""
    if log is None:
        return None
    aside = log.with_name("log-before")
    log.replace(aside)
    return aside


def together(former: Outcome, newest: Outcome, log: Path | None) -> Outcome:
    """One outcome of both tries: that of the newest, with what both used and printed. `log` is the former's."""
    names = [each.name for each in fields(Usage)]
    sums = {name: _sum(getattr(former.usage, name), getattr(newest.usage, name)) for name in names}
    notes = (*former.notes, "its model was at a limit or failed, and it went on with its session", *newest.notes)
    if log is not None and newest.log is not None:
        with log.open("ab") as whole, newest.log.open("rb") as rest:
            shutil.copyfileobj(rest, whole)
        log.replace(newest.log)
    worked = former.worked or newest.worked
    return replace(
        newest, usage=Usage(**sums), sent_brief=former.sent_brief, worked=worked, notes=tuple(dict.fromkeys(notes))
    )


def _sum(one: Any, other: Any) -> Any:  # noqa: ANN401 - of tokens, or of a cost
    return other if one is None else one if other is None else one + other


FAR_S = 30.0  # the wait for the next try, where it is named: what takes longer is for the run to wait for
_SILENT_S = 300.0  # after an error: less than that may as well be a model that thinks
_LIMITED_S = 60.0  # after a limit without a time: codex waits for as long as it was told, and does not tell
ERRORS_MAX = 4  # of the endpoint in a row
_LOOK_S = 1.0


class Patience:
    """Implements ports.Cancel for the program: set where the work is no longer wanted, or `look` says why it is of no
    use to go on; then `why` holds that."""

    def __init__(self, cancel: Cancel, look: Callable[[], str]) -> None:
        self._cancel, self._look = cancel, look
        self._due_at = time.monotonic() + _LOOK_S
        self.why = ""

    def is_set(self) -> bool:
        if not self.why and time.monotonic() >= self._due_at:
            self.why = self._look()
            self._due_at = time.monotonic() + _LOOK_S
        return bool(self.why) or self._cancel.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        return self._cancel.wait(timeout)


def of_no_use(errors: Sequence[str], log: Path) -> str:
    """The last of the errors that came in a row where the next try cannot help, is far off, or was one too many.
    `log` is where they were written."""
    if not errors:
        return ""
    known = classify_failure(errors[-1], time.time())
    limited = known.ended is Ended.RATE_LIMITED
    far = limited and known.retry_at > time.time() + FAR_S
    waits = silent(log, _LIMITED_S if limited and not known.retry_at else _SILENT_S)
    return errors[-1] if known.permanent or far or len(errors) > ERRORS_MAX or waits else ""


def silent(log: Path, for_s: float = _SILENT_S) -> bool:
    """Whether nothing was written for so long that it tells of more than a model that thinks."""
    try:
        return time.time() - log.stat().st_mtime > for_s
    except OSError:
        return False


def since(errors: Iterable[tuple[str, str]], log: Path) -> list[str]:
    """Of errors with their times, in a log of the program's own, those since `log` was written to last: it got over the
    others. What has no time is no line of that log."""
    went_on_at = log.stat().st_mtime if log.is_file() else 0.0
    return [said for at, said in errors if _seconds(at) > went_on_at]


def _seconds(at: str) -> float:
    try:
        return datetime.fromisoformat(at).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def number(event: Mapping[str, object], name: str) -> float:
    value = event.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0

"""How long a program that tries again by itself is let: until it is of no use, and the run can wait in its place.

Rule: it is ended as by a cancel, and what it said of itself decides what became of it. Its own log is looked at once a
second, and only the end of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from interlock.agents.trouble import classify_failure
from interlock.ports import Cancel, Ended

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

"""When a program that retries by itself is stopped, and when it is started again in its own session.

Rule: a program is stopped if its next retry cannot help, or comes so late that the run should wait instead. It is then
stopped as by a cancel, and its own error decides the outcome. Its log is read once a second, and only the end of it.
A session is resumed only if the model had answered before, after a wait of at most a minute, and at most twice; once if
the program had already retried long enough by itself. Longer waits are left to the run. The usage of every try counts.

A program's own session is its file, its name and its usage so far, saved by one attempt for the next one. Rule: if a
session cannot be read, the next attempt begins a new one. Its file has the program's format, and is written only below
the new attempt's state.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from interlock.agents.failures import classify_failure
from interlock.core.effects import Remaining
from interlock.core.events import Usage
from interlock.ports import Cancel, Ended, Outcome
from interlock.process import masked

RETRIES_MAX = 2
RESUME_PROMPT = (
    "The model's endpoint failed in the middle of your work. All that you did is still there: go on where you were, "
    "and finish the task that you were given."
)
RETRY_WAIT_MAX_S = 30.0  # of a program that names its wait: the run does the longer waits
ERRORS_MAX = 4  # errors of the endpoint in a row
_RESUME_WAIT_MAX_S = 60.0
_RESUME_WAITS_S = (5.0, 20.0)
_SILENT_S = 300.0  # after an error; a shorter silence may be a model that thinks
_LIMITED_S = 60.0  # after a limit without a time: some programs wait for that time and do not print it
_POLL_S = 1.0


class RetryWatch:
    """Implements ports.Cancel for the program: set if the attempt is cancelled, or if `look` returns a reason to stop
    its retries, which is then in `reason`."""

    def __init__(self, cancel: Cancel, look: Callable[[], str]) -> None:
        self._cancel, self._look = cancel, look
        self._due_at = time.monotonic() + _POLL_S
        self.reason = ""

    def is_set(self) -> bool:
        if not self.reason and time.monotonic() >= self._due_at:
            self.reason = self._look()
            self._due_at = time.monotonic() + _POLL_S
        return bool(self.reason) or self._cancel.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        return self._cancel.wait(timeout)


def give_up_reason(errors: Sequence[str], log: Path) -> str:
    """The last of `errors`, which came in a row, if the next retry cannot help, is far off, or is one too many.
    `log` is the file that they were written to."""
    if not errors:
        return ""
    failure = classify_failure(errors[-1], time.time())
    limited = failure.ended is Ended.RATE_LIMITED
    far = limited and failure.retry_at > time.time() + RETRY_WAIT_MAX_S
    silent = is_silent(log, _LIMITED_S if limited and not failure.retry_at else _SILENT_S)
    return errors[-1] if failure.permanent or far or len(errors) > ERRORS_MAX or silent else ""


def is_silent(log: Path, for_s: float = _SILENT_S) -> bool:
    """Whether nothing was written for longer than a model thinks."""
    try:
        return time.time() - log.stat().st_mtime > for_s
    except OSError:
        return False


def errors_since_output(errors: Iterable[tuple[str, str]], log: Path) -> list[str]:
    """The errors after the last write to `log`: the program recovered from earlier ones. `errors` are pairs of time and
    text from the program's own log; an entry without a valid time is no line of that log."""
    written_at = log.stat().st_mtime if log.is_file() else 0.0
    return [error for at, error in errors if _seconds(at) > written_at]


def may_retry(outcome: Outcome, *, begun: bool, tried: int = -1) -> bool:
    """Whether the session may be resumed. `tried` counts the resumes so far if we stopped the program's own retries,
    else -1. A limit without a time then means that the program was told to wait."""
    if tried > 0 or (tried == 0 and outcome.ended is Ended.RATE_LIMITED and not outcome.retry_at):
        return False
    temporary = outcome.ended in (Ended.RATE_LIMITED, Ended.UNAVAILABLE) and not outcome.permanent
    return begun and temporary and outcome.retry_at - time.time() <= _RESUME_WAIT_MAX_S


def retry_delay_s(outcome: Outcome, tries: int) -> float:
    """Until the time that the provider named, else a few seconds."""
    named = outcome.retry_at - time.time()
    return named if outcome.retry_at and named > 0 else _RESUME_WAITS_S[min(tries, len(_RESUME_WAITS_S) - 1)]


def remaining_after(limits: Remaining, used: Usage, cumulative: Collection[str]) -> Remaining:
    """What the next try may use. A program with a cumulative cost subtracts the cost of its session by itself."""
    cost = 0.0 if "cost_usd" in cumulative else used.cost_usd or 0.0
    return Remaining(limits.tokens - (used.tokens_in or 0) - (used.tokens_out or 0), limits.cost_usd - cost)


def latest_usage(reported: Usage, before: Usage) -> Usage:
    """The usage that the program reported, or the usage before if it reported none."""
    return before if reported == Usage() else reported


def move_log(log: Path | None) -> Path | None:
    """Rename the log of a finished try, so that the next try can write its own."""
    if log is None:
        return None
    aside = log.with_name("log-before")
    log.replace(aside)
    return aside


def merge_outcomes(former: Outcome, newest: Outcome, log: Path | None) -> Outcome:
    """The newest outcome with the usage and the output of both tries. `log` is the log of the former one."""
    names = [each.name for each in fields(Usage)]
    sums = {name: _sum(getattr(former.usage, name), getattr(newest.usage, name)) for name in names}
    notes = (*former.notes, "the endpoint failed or was at a limit, and the session was resumed", *newest.notes)
    if log is not None and newest.log is not None:
        with log.open("ab") as whole, newest.log.open("rb") as rest:
            shutil.copyfileobj(rest, whole)
        log.replace(newest.log)
    worked = former.worked or newest.worked
    return replace(
        newest, usage=Usage(**sums), sent_brief=former.sent_brief, worked=worked, notes=tuple(dict.fromkeys(notes))
    )


def _seconds(at: str) -> float:
    try:
        return datetime.fromisoformat(at).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _sum(one: Any, other: Any) -> Any:  # noqa: ANN401 - tokens, or a cost
    return other if one is None else one if other is None else one + other


# --- sessions -----------------------------------------------------------------------------------


_VERSION = 1
_BYTES_MAX = 50_000_000
_NAME_MAX = 200


@dataclass(frozen=True, slots=True)
class Session:
    """`file` is its path below the program's state. `used` is the usage so far, as the program reports it."""

    name: str
    file: str
    content: str
    used: Usage = Usage()


def save_session(path: Path, session: Session, secrets: tuple[str, ...]) -> Path:
    """Write it as one file, with the secrets masked."""
    text = json.dumps({"version": _VERSION, **asdict(session)})
    path.write_bytes(masked(text.encode("utf-8", "surrogateescape"), secrets))
    return path


def load_session(content: bytes) -> Session | None:
    """The session of a file that `save_session` wrote; None if it is not one."""
    try:
        saved = json.loads(content[: 2 * _BYTES_MAX])
        used = Usage(**saved["used"])
        session = Session(str(saved["name"]), str(saved["file"]), str(saved["content"]), used)
    except (ValueError, TypeError, KeyError):
        return None
    return session if saved.get("version") == _VERSION and session.name and _is_below(session.file) else None


def find_session(state: Path, glob: str, name: str, used: Usage) -> Session | None:
    """The session of this name, as the program wrote it. `{}` in `glob` stands for the name."""
    if not name or len(name) > _NAME_MAX or not name.replace("-", "").replace("_", "").isalnum():
        return None
    for path in sorted(state.glob(glob.format(name)))[:1]:
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _BYTES_MAX:
            return Session(name, str(path.relative_to(state)), path.read_text("utf-8", "replace"), used)
    return None


def usage_since(used: Usage, before: Usage, cumulative: frozenset[str]) -> Usage:
    """`used` minus `before` in the fields in which the program reports sums of its whole session."""
    now: Mapping[str, object] = asdict(used)
    earlier: Mapping[str, object] = asdict(before)
    changes = {name: _difference(now[name], earlier[name]) for name in cumulative}
    return replace(used, **changes)  # type: ignore[arg-type]


def _difference(now: object, then: object) -> object:
    if not isinstance(now, int | float) or not isinstance(then, int | float):
        return now
    return max(0, now - then)


def _is_below(file: str) -> bool:
    path = Path(file)
    return bool(file) and not path.is_absolute() and ".." not in path.parts

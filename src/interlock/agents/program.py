"""Running an agent's program in its place, and reading what it says of itself.

Rule: the program sees the brief's environment and our own few variables, and nothing else. Exit code 0 is
completed, another one crashed, no program is unavailable; a deadline or silence is timed out. What it wrote
to $INTERLOCK_USAGE is taken where it has the right shape, and else as if it were not there.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import cast

from interlock.core.events import Usage
from interlock.core.text import ending
from interlock.ports import Brief, Cancel, Checkout, Ended, Outcome
from interlock.process import Finished, How, Supervised, masked, supervise

NOT_RUNNABLE = {126: "a command cannot be run", 127: "a command was not found"}  # what a shell ends with
LOG_BYTES_MAX = 10_000_000
ANSWER_BYTES_MAX = 400_000
_CLAIM_MAX = 2_000
_WRITTEN = "[written to $INTERLOCK_ANSWER]"
_TWO = "[two answers are none]"
_OBJECTS_MAX = 50
_USAGE_BYTES_MAX = 65_536
# How a program may say that it ended, where its exit code cannot.
_SAID = frozenset({Ended.REFUSED, Ended.RATE_LIMITED, Ended.OUT_OF_BUDGET, Ended.UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class _Said:
    """What the program wrote to $INTERLOCK_USAGE."""

    usage: Usage = Usage()
    ended: Ended | None = None
    message: str = ""
    model: str = ""
    session: str = ""
    retry_at: float = 0.0


def run_program(
    argv: tuple[str, ...], brief: Brief, checkout: Checkout, cancel: Cancel, *, idle_timeout_s: float | None = None
) -> Outcome:
    """Run `argv` in the checkout with the brief on standard input and as the file $BRIEF.
    Raises InfrastructureError where the machine cannot start anything."""
    aside = checkout.root / "agent"
    aside.mkdir(exist_ok=True)
    cwd = checkout.tree / brief.dir
    if wrong := folder_error(checkout.tree, brief.dir):
        return Outcome(Ended.CRASHED, wrong)
    (aside / "brief.md").write_text(brief.text, encoding="utf-8")
    make_artifacts(brief.env.get("ARTIFACTS", ""), checkout)
    own = {
        "BRIEF": str(aside / "brief.md"),
        "INTERLOCK_USAGE": str(aside / "usage.json"),
        "INTERLOCK_ATTEMPT": str(brief.attempt),
        "INTERLOCK_MODEL": brief.model,
        **({"INTERLOCK_ANSWER": str(aside / "answer")} if brief.answer_schema else {}),
    }
    work = Supervised(
        argv,
        cwd,
        {**brief.env, **own},
        aside / "log",
        timeout_s=brief.timeout_s,
        stdin=brief.text.encode(),
        idle_timeout_s=brief.idle_timeout_s if idle_timeout_s is None else idle_timeout_s,
        log_bytes_max=LOG_BYTES_MAX,
        watch=(checkout.tree,),
        secrets=brief.secrets,
    )
    finished = supervise(work, cancel)
    outcome = _outcome(argv[0], brief, finished, _said(aside / "usage.json"), aside / "log")
    return without_secrets(
        replace(outcome, answer=_answer(aside, finished)) if brief.answer_schema else outcome, brief.secrets
    )


def folder_error(tree: Path, folder: str) -> str:
    """Why nothing can work in `folder` of the checkout, empty where it can. A link leads to a place that an earlier
    stage chose: paths that are reckoned from the folder would lead from there."""
    path = tree / folder
    if not path.is_dir():
        return f"{folder}: no such folder in the checkout: correct the stage's `dir`"
    if path.resolve() != tree.resolve() / folder:
        return f"{folder}: a symbolic link in the checkout: name the folder itself in the stage's `dir`"
    return ""


def log_path(root: Path) -> Path:
    """What the program in the place at `root` prints, while it is at work."""
    return root / "agent" / "log"


def without_secrets(outcome: Outcome, secrets: tuple[str, ...]) -> Outcome:
    """Without the secrets in what it said; its transcript is rewritten. The log never held them."""
    if outcome.transcript is not None:
        with suppress(OSError):
            outcome.transcript.write_bytes(masked(outcome.transcript.read_bytes(), secrets))
    said = (outcome.message, outcome.answer, outcome.sent_brief)
    message, answer, told = (masked(text.encode("utf-8", "replace"), secrets).decode() for text in said)
    return replace(outcome, message=message, answer=answer, sent_brief=told)


def make_artifacts(artifacts: str, checkout: Checkout) -> None:
    """So that a shell can write `> "$ARTIFACTS/plan.md"`; not where a link leads out of the checkout."""
    folder = Path(artifacts)
    if artifacts and folder.resolve().is_relative_to(checkout.tree.resolve()):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)


def content_of(path: Path, bytes_max: int) -> bytes:
    """The beginning of a regular file that the program left, empty where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(bytes_max) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        return b""


def _answer(aside: Path, finished: Finished) -> str:
    """What it wrote to $INTERLOCK_ANSWER, or else what it printed; where only the end of that is known, it says so:
    what follows may be in the middle of a quotation. So it says of the file, whose path each command knows that it
    starts, the product among them. Where it printed another answer than it wrote, there is none."""
    written = content_of(aside / "answer", ANSWER_BYTES_MAX).decode("utf-8", "replace")
    printed = finished.tail.decode("utf-8", "replace")
    if written:
        other = _printed_answer(printed)
        two = other is not None and other != _printed_answer(written)
        return f"{_WRITTEN}\n{written}" + (f"\n[another one was printed]\n{printed}\n{_TWO}" if two else "")
    cut = (aside / "log").is_file() and (aside / "log").stat().st_size > len(finished.tail)
    return f"[the beginning is left out]\n{printed}" if cut else printed


def _printed_answer(text: str) -> object:
    """The verdict that a text ends with, None where it ends with none."""
    lines = text.strip().removesuffix("```").rstrip().split("\n")
    starts = [number for number, line in enumerate(lines) if line.lstrip().startswith("{")]
    for start in reversed(starts[-_OBJECTS_MAX:]):
        try:
            value = json.loads("\n".join(lines[start:]))
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and "verdict" in value:
            return value
    return None


def _outcome(program: str, brief: Brief, finished: Finished, said: _Said, log: Path) -> Outcome:
    ended, message = _ended(program, brief, finished)
    if finished.how is How.EXITED and said.ended is not None:
        ended, message = said.ended, said.message or message
    return Outcome(
        ended,
        said.message if ended is Ended.COMPLETED and said.message else message,
        finished.code,
        usage=said.usage,
        model=said.model or brief.model,
        session=said.session,
        sent_brief=brief.text,
        log=log if log.is_file() else None,
        retry_at=said.retry_at,
        worked=True,  # whatever it says of a quota is its own word
        permanent=finished.how is How.NOT_FOUND or (ended is Ended.CRASHED and finished.code in NOT_RUNNABLE),
    )


def _ended(program: str, brief: Brief, finished: Finished) -> tuple[Ended, str]:
    tail, name = ending(finished.tail, _CLAIM_MAX), PurePath(program).name
    match finished.how:
        case How.EXITED if finished.code == 0:
            return Ended.COMPLETED, tail
        case How.EXITED:
            return Ended.CRASHED, _with_words(f"{name} ended with {_code(finished.code)}", tail)
        case How.NOT_FOUND:
            return (
                Ended.UNAVAILABLE,
                f"{program}: not found: install it, or correct the agent's `run`",
            )
        case How.TIMED_OUT:
            return Ended.TIMED_OUT, _with_words(f"{name} did not end within {brief.timeout_s} s", tail)
        case How.IDLE:
            return Ended.TIMED_OUT, _with_words(f"{name} was silent: no output, no write, no computing", tail)
        case How.CANCELLED:
            return Ended.CANCELLED, f"{name} was ended: its work is no longer wanted"


def _with_words(what: str, tail: str) -> str:
    return f"{what}; it said: {tail}" if tail else what


def _code(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {-code}"
    why = NOT_RUNNABLE.get(code or 0, "")
    return f"exit code {code}" + (f" ({why}: correct its `run`, or install it)" if why else "")


def _said(path: Path) -> _Said:
    try:
        told = json.loads(content_of(path, _USAGE_BYTES_MAX))
    except (ValueError, RecursionError):
        return _Said()
    return _parsed(cast(Mapping[str, object], told)) if isinstance(told, dict) else _Said()


def _parsed(told: Mapping[str, object]) -> _Said:
    ended = told.get("ended")
    retry_at = told.get("retry_at")
    return _Said(
        Usage(_tokens(told, "tokens_in"), _tokens(told, "tokens_out"), _tokens(told, "tokens_cached"), _cost(told)),
        Ended(ended) if isinstance(ended, str) and ended in _SAID else None,
        _text(told, "message", _CLAIM_MAX),
        _text(told, "model", 200),
        _text(told, "session", 200),
        float(retry_at) if isinstance(retry_at, int | float) and 0 <= retry_at < 1e11 else 0.0,
    )


def _tokens(told: Mapping[str, object], name: str) -> int | None:
    value = told.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15 else None


def _cost(told: Mapping[str, object]) -> float | None:
    value = told.get("cost_usd")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9 else None


def _text(told: Mapping[str, object], name: str, limit: int) -> str:
    value = told.get(name)
    return value[:limit] if isinstance(value, str) else ""

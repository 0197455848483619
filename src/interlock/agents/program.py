"""Running an agent's program in its checkout, and reading what it reports.

Rule: the program sees the environment of the brief and a few variables of ours, and nothing else. Exit code 0 means
completed, another one crashed, a missing program unavailable, a timeout or silence timed out. What it wrote to
$INTERLOCK_USAGE is ignored if it does not match the format.

With the MCP server `check` an agent in a stage asks the gates of that stage about its work so far. Rule: the server
sees only the environment of the agent, and keeps its state beside the agent's checkout. Nothing that it does or prints
reaches the run.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import cast

from interlock.core.events import Usage
from interlock.ports import Brief, Cancel, Checkout, Ended, Outcome
from interlock.process import Finished, How, Serve, Supervised, masked, supervise
from interlock.sandbox import NO_SYSTEM_FILES, Network, Room, alone, confine, unseen
from interlock.text.cleaning import ending

Serves = tuple[tuple[int, Serve], ...]  # ports in the room

NOT_RUNNABLE = {126: "a command cannot be run", 127: "a command was not found"}  # exit codes of a shell
NO_TERMINALS = "its commands need terminals, which the sandbox `fs` has not: use another agent"
LOG_BYTES_MAX = 10_000_000
ANSWER_BYTES_MAX = 400_000
TRANSCRIPT_BYTES_MAX = 50_000_000
_CLAIM_MAX = 2_000
_WRITTEN = "[written to $INTERLOCK_ANSWER]"
_TWO = "[two answers are none]"
_OBJECTS_MAX = 50
_USAGE_BYTES_MAX = 65_536
# How a program may say that it ended, which an exit code cannot express.
_REPORTABLE = frozenset({Ended.REFUSED, Ended.RATE_LIMITED, Ended.OUT_OF_BUDGET, Ended.UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class _Report:
    """What the program wrote to $INTERLOCK_USAGE."""

    usage: Usage = Usage()
    ended: Ended | None = None
    message: str = ""
    model: str = ""
    session: str = ""
    retry_at: float = 0.0


def run_program(
    argv: tuple[str, ...], brief: Brief, checkout: Checkout, cancel: Cancel, *, reads: tuple[Path, ...] = ()
) -> Outcome:
    """Run `argv` in the checkout with the brief on standard input and as the file $BRIEF. `reads`: what it
    reads of the machine.
    Raises InfrastructureError if the machine cannot start a process."""
    aside, log = agent_folder(checkout), log_path(checkout.root)
    cwd = checkout.tree / brief.dir
    if wrong := folder_error(checkout.tree, brief.dir):
        return Outcome(Ended.CRASHED, wrong)
    (aside / "brief.md").write_text(brief.text, encoding="utf-8")
    make_artifacts(brief.env.get("ARTIFACTS", ""), checkout)
    own = {
        "BRIEF": checkout.seen(aside / "brief.md"),
        "INTERLOCK_USAGE": checkout.seen(aside / "usage.json"),
        "INTERLOCK_ATTEMPT": str(brief.attempt),
        "INTERLOCK_MODEL": brief.model,
        **({"INTERLOCK_ANSWER": checkout.seen(aside / "answer")} if brief.answer_schema else {}),
    }
    work = Supervised(
        argv,
        cwd,
        {**brief.env, **own},
        log,
        timeout_s=brief.timeout_s,
        stdin=brief.text.encode(),
        idle_timeout_s=brief.idle_timeout_s,
        log_bytes_max=LOG_BYTES_MAX,
        watch=(checkout.changed,),
        secrets=brief.secrets,
    )
    finished = supervise(in_room(work, checkout, brief, reads), cancel)
    outcome = _outcome(argv[0], brief, finished, _report(aside / "usage.json"), log)
    named = (argv, checkout.sandbox, brief.env.get("PATH", os.defpath))
    if outcome.permanent and (hint := unseen(*named) or alone(*named)):
        outcome = replace(outcome, message=f"{hint}; {outcome.message}")
    return without_secrets(
        replace(outcome, answer=_answer(aside / "answer", log, finished)) if brief.answer_schema else outcome,
        brief.secrets,
    )


def folder_error(tree: Path, folder: str) -> str:
    """Why no program can work in `folder` of the checkout; empty if one can. An earlier stage may have chosen where a
    link leads, and paths relative to the folder would start there."""
    path = tree / folder
    if not path.is_dir():
        return f"{folder}: no such folder in the checkout: correct the stage's `dir`"
    if path.resolve() != tree.resolve() / folder:
        return f"{folder}: a symbolic link in the checkout: name the folder itself in the stage's `dir`"
    return ""


def agent_folder(checkout: Checkout) -> Path:
    """Files for the program, and from it, outside of the tree."""
    folder = checkout.root / "agent"
    folder.mkdir(exist_ok=True)
    return folder


def log_path(root: Path) -> Path:
    """Where the output of the program goes while it runs in the checkout at `root`. Nothing beside it is shown to the
    program."""
    return root / "output" / "log"


def in_room(
    work: Supervised, checkout: Checkout, brief: Brief, reads: tuple[Path, ...] = (), serves: Serves = ()
) -> Supervised:
    """The program of an agent in a room: it also has the agent's folder, and what was laid beside the checkout."""
    network = Network.OPEN if brief.hosts is None else Network.NONE
    work.log.parent.mkdir(exist_ok=True)
    beside = tuple(path for path in (checkout.root / "beside",) if path.is_dir())
    writes = (agent_folder(checkout),)
    room = Room(checkout, network, brief.hosts or (), writes, (*beside, *reads), serves=serves, taken=True)
    return confine(work, room)


def timeout_words(name: str, timeout_s: float) -> str:
    """Why a program was ended, and the key of the pipeline that says when."""
    return f"{name} did not end within {timeout_s:g} s (`timeout`)"


def silence_words(name: str, idle_timeout_s: float, least_s: float = 0) -> str:
    """As `timeout_words`. `least_s` is what the program always gets."""
    set_by = "the least for this program; the stage's `idle_timeout` may set more"
    key = set_by if least_s > idle_timeout_s else "`idle_timeout` of the stage"
    return f"{name} was silent for {max(idle_timeout_s, least_s):g} s: no output, no write, no computing ({key})"


def without_secrets(outcome: Outcome, secrets: tuple[str, ...]) -> Outcome:
    """The outcome with the secrets masked, also in the file of its transcript. The log never contains them."""
    if outcome.transcript is not None:
        with suppress(OSError):
            outcome.transcript.write_bytes(masked(content_of(outcome.transcript, TRANSCRIPT_BYTES_MAX), secrets))
    texts = (outcome.message, outcome.answer, outcome.sent_brief)
    message, answer, brief = (masked(text.encode("utf-8", "replace"), secrets).decode() for text in texts)
    return replace(outcome, message=message, answer=answer, sent_brief=brief)


def make_artifacts(artifacts: str, checkout: Checkout) -> None:
    """So that a shell can write `> "$ARTIFACTS/plan.md"`; not if a link leads out of the checkout."""
    folder = checkout.lies(artifacts)
    if artifacts and folder.resolve().is_relative_to(checkout.tree.resolve()):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)


def content_of(path: Path, bytes_max: int) -> bytes:
    """The beginning of a regular file that the program wrote; empty if there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(bytes_max) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        return b""


def _answer(path: Path, log: Path, finished: Finished) -> str:
    """The file $INTERLOCK_ANSWER (`path`), or else the output. A first line marks the file, since the product could
    have written it, and an output without its beginning, since the rest may be a quotation. Two different answers
    count as none."""
    written = content_of(path, ANSWER_BYTES_MAX).decode("utf-8", "replace")
    printed = finished.tail.decode("utf-8", "replace")
    if written:
        other = _printed_answer(printed)
        two = other is not None and other != _printed_answer(written)
        return f"{_WRITTEN}\n{written}" + (f"\n[another one was printed]\n{printed}\n{_TWO}" if two else "")
    cut = log.is_file() and log.stat().st_size > len(finished.tail)
    return f"[the beginning is left out]\n{printed}" if cut else printed


def _printed_answer(text: str) -> object:
    """The verdict at the end of a text; None if there is none."""
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


def _outcome(program: str, brief: Brief, finished: Finished, report: _Report, log: Path) -> Outcome:
    ended, message = _ended(program, brief, finished)
    if finished.how is How.EXITED and report.ended is not None:
        ended, message = report.ended, report.message or message
    return Outcome(
        ended,
        report.message if ended is Ended.COMPLETED and report.message else message,
        finished.code,
        usage=report.usage,
        model=report.model or brief.model,
        session=report.session,
        sent_brief=brief.text,
        log=log if log.is_file() else None,
        retry_at=report.retry_at,
        worked=True,  # that it hit a quota before it worked is only its claim
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
            return Ended.TIMED_OUT, _with_words(timeout_words(name, brief.timeout_s), tail)
        case How.IDLE:
            return Ended.TIMED_OUT, _with_words(silence_words(name, brief.idle_timeout_s), tail)
        case How.OVER_LIMIT:
            return Ended.OVER_LIMIT, _with_words(limit_words(name, finished), tail)
        case How.CANCELLED:
            return Ended.CANCELLED, f"{name} was stopped: its attempt is cancelled"


def limit_words(name: str, finished: Finished) -> str:
    return f"{name} was ended: {finished.over}"


def _with_words(what: str, tail: str) -> str:
    return f"{what}; it said: {tail}" if tail else what


def _code(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {-code}"
    why = NOT_RUNNABLE.get(code or 0, "")
    return f"exit code {code}" + (f" ({why}: correct its `run`, or install it)" if why else "")


def _report(path: Path) -> _Report:
    try:
        value = json.loads(content_of(path, _USAGE_BYTES_MAX))
    except (ValueError, RecursionError):
        return _Report()
    return _parsed(cast(Mapping[str, object], value)) if isinstance(value, dict) else _Report()


def _parsed(fields: Mapping[str, object]) -> _Report:
    ended = fields.get("ended")
    retry_at = fields.get("retry_at")
    return _Report(
        Usage(
            _tokens(fields, "tokens_in"), _tokens(fields, "tokens_out"), _tokens(fields, "tokens_cached"), _cost(fields)
        ),
        Ended(ended) if isinstance(ended, str) and ended in _REPORTABLE else None,
        _text(fields, "message", _CLAIM_MAX),
        _text(fields, "model", 200),
        _text(fields, "session", 200),
        float(retry_at) if isinstance(retry_at, int | float) and 0 <= retry_at < 1e11 else 0.0,
    )


def _tokens(fields: Mapping[str, object], name: str) -> int | None:
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15 else None


def _cost(fields: Mapping[str, object]) -> float | None:
    value = fields.get("cost_usd")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9 else None


def _text(fields: Mapping[str, object], name: str, limit: int) -> str:
    value = fields.get(name)
    return value[:limit] if isinstance(value, str) else ""


# --- the server for checks ----------------------------------------------------------------------


SERVER = "interlock"
TOOL = "check"
CHECK_PROMPT = (
    f"Before you end, call the tool `{TOOL}` of the MCP server `{SERVER}`: it returns what the gates say of your work "
    "so far. They judge again when you have ended."
)


@dataclass(frozen=True, slots=True)
class Check:
    """How the server is started, and how long a call may take. `program` is a script that sets its whole environment:
    agent programs pass on parts of theirs, or all of it, or expand signs in the values that they are given."""

    program: str
    timeout_s: int


def offer_check(brief: Brief, checkout: Checkout) -> Check | None:
    """None if the agent has no gate to ask."""
    if not brief.rehearsal:
        return None
    aside = agent_folder(checkout)
    given = aside / "rehearsal.json"
    given.write_text(brief.rehearsal, encoding="utf-8")
    env = {name: value for name, value in brief.env.items() if not value or value not in brief.secrets}
    own = {"INTERLOCK_STATE_HOME": aside / "checks", "INTERLOCK_CACHE_HOME": aside / "rooms"}
    env |= {name: checkout.seen(path) for name, path in own.items()}
    if checkout.sandbox.level == "fs":
        env |= NO_SYSTEM_FILES
    command = (sys.executable, "-I", "-m", "interlock", "mcp", "--inside", checkout.seen(given))
    program = aside / SERVER
    words = ("/usr/bin/env", "-i", *(f"{name}={value}" for name, value in env.items()), *command)
    program.write_text(f"#!/bin/sh\nexec {shlex.join(words)}\n", encoding="utf-8", errors="surrogateescape")
    program.chmod(0o700)
    return Check(checkout.seen(program), brief.timeout_s)

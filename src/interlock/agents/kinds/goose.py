"""goose: `goose run --output-format stream-json`. Its exit code is always 0: it succeeded where it told how many
tokens it used in all, and no error."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import cast

from interlock.agents.credentials import private
from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.logs import Event, count, events, inner, late_events, tail, text
from interlock.agents.retries import of_no_use
from interlock.core.events import Usage
from interlock.core.programs import obeyed
from interlock.ports import Agent

# What it says itself at the end of its turn, as if it were an answer.
_OWN = (
    "Ran into this error",
    "Network error",
    "Please check your account",
    "Please add credits",
    "I've reached the max",
)
_FAILURE = re.compile(r"Provider request failed with (status: [^\n]{0,500})")
_AGAIN = '"message":"Request failed, retrying ('  # in its own log
_SESSION = "interlock"
_SUMS = frozenset({"tokens_in", "tokens_out"})
_TURNS_MAX = "200"  # the stage's timeout is what bounds it


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    obeys = obeyed("goose")
    kind = Kind("goose", _start, _read, stays=True, cumulative=_SUMS, of_no_use=_of_no_use, obeys=obeys, checks=True)
    return Driven(kind, environ)


def _start(asked: AttemptRequest) -> Start:
    provider, slash, model = asked.brief.model.partition("/")
    env = {
        "GOOSE_PATH_ROOT": str(asked.state),
        "GOOSE_MODE": "auto",
        "GOOSE_DISABLE_KEYRING": "1",
        "GOOSE_TELEMETRY_ENABLED": "false",
        "CONTEXT_FILE_NAMES": "[]",  # the brief has the instructions
        "GOOSE_DISABLE_SESSION_NAMING": "true",
        "GOOSE_PROVIDER": provider if slash else asked.brief.env.get("GOOSE_PROVIDER", "openai"),
    }
    if asked.brief.model:
        env["GOOSE_MODEL"] = model or provider
    if asked.endpoint:
        env |= {"OPENAI_HOST": asked.endpoint, "ANTHROPIC_HOST": asked.endpoint}
    arguments: tuple[str, ...] = (
        "run",
        "--output-format",
        "stream-json",
        "--no-profile",
        "--with-builtin",
        "developer",
    )
    if asked.check is not None:  # it takes blanks and quotes apart in its own way: from the checkout the path has none
        program = os.path.relpath(Path(asked.check.program).resolve(), (asked.tree / asked.brief.dir).resolve())
        arguments = (*arguments, "--with-extension", program)
    again = ("--resume",) if asked.session is not None else ()
    arguments = (*arguments, "--name", _SESSION, *again, "--max-turns", _TURNS_MAX, "-i", "-")
    if asked.keys:  # where it looks for what its environment does not hold
        private(asked.state / "config" / "secrets.yaml", json.dumps(dict(asked.keys)))
    return Start(arguments, env, asked.text.encode(), asked.keys)


def _read(asked: AttemptRequest, log: Path) -> AgentReport:
    said: list[str] = []
    newest, errors, begun = "", "", False
    last: Event = {}
    for event in events(log):
        match text(event, "type"):
            case "message":
                message = inner(event, "message")
                if text(message, "id") != newest or not _words(message):
                    said.clear()  # a message comes in parts that have its id
                newest = text(message, "id")
                said.append(_words(message))
                begun = begun or text(message, "role") == "user"  # a tool has answered
                errors = _out_of_credit(message) or errors
            case "error":
                errors = text(event, "error") or text(event, "message") or "it told of an error"
            case "complete":
                last = event
            case _:
                pass
    words = "".join(said)
    own = words if not newest and words.startswith(_OWN) else ""  # and not the model's, which has an id
    done = bool(count(last, "total_tokens")) and not errors and not own and _is_whole(asked)
    if not done and not errors:
        errors = own or (f"the stream ended early: {words}" if last else _in_its_log(asked, log))
    retries = tail(_own_log(asked)).count(_AGAIN)
    told = Usage(count(last, "input_tokens"), count(last, "output_tokens"))
    usage = told if last else _in_its_session(asked)
    return AgentReport(
        done, message=words, trouble="" if done else errors, usage=usage, session=_SESSION, begun=begun, retries=retries
    )


def _is_whole(asked: AttemptRequest) -> bool:
    """Whether its last call was answered to the end, where its own log of calls says so: it takes what it got by then
    for all, and tells the tokens of the calls before."""
    path = asked.state / "state" / "logs" / "llm_request.0.jsonl"
    return not path.is_file() or any(inner(event, "usage") for event in late_events(path))


def _in_its_session(asked: AttemptRequest) -> Usage:
    """What it noted there by now: one that was ended tells none."""
    path = asked.state / "data" / "sessions" / "sessions.db"
    query = "select accumulated_input_tokens, accumulated_output_tokens from sessions where name = ?"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as sessions:
            used = sessions.execute(query, (_SESSION,)).fetchone() or (None, None)
    except (sqlite3.Error, ValueError):
        return Usage()
    return Usage(*(number if isinstance(number, int) else None for number in used))


def _of_no_use(asked: AttemptRequest, log: Path) -> str:
    """It waits for a quota without a word, for as long as it is told to."""
    error = _in_its_log(asked, log)
    return of_no_use([error] if error else [], _own_log(asked))


def _in_its_log(asked: AttemptRequest, log: Path) -> str:
    """The last error in the log that it keeps, unless it went on: it tells of none while it waits to try again."""
    own = _own_log(asked)
    found = _FAILURE.findall(tail(own)) if _written(log) <= _written(own) else []
    return found[-1] if found else ""


def _own_log(asked: AttemptRequest) -> Path:
    """The newest that it keeps, or one that is not there."""
    logs = sorted((asked.state / "state" / "logs" / "cli").glob("*/*.log"))
    return logs[-1] if logs else asked.state / "none.log"


def _written(path: Path) -> float:
    return path.stat().st_mtime if path.is_file() else 0.0


def _out_of_credit(message: Event) -> str:
    parts = message.get("content")
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and part.get("notificationType") == "creditsExhausted":
            return text(cast(Event, part), "msg") or "out of credits"
    return ""


def _words(message: Event) -> str:
    if text(message, "role") != "assistant":
        return ""
    content = message.get("content")
    parts = [cast(Event, part) for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return "".join(text(part, "text") for part in parts if text(part, "type") == "text")

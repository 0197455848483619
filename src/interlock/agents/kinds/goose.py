"""goose: `goose run --output-format stream-json`. Its exit code is always 0: it succeeded if it printed its total
tokens and no error."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import cast

from interlock.agents.credentials import write_private
from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.logs import Event, count, events, inner, last_events, tail, text
from interlock.agents.retries import give_up_reason
from interlock.core.events import Usage
from interlock.ports import Agent

# Its own texts at the end of a turn, which look like an answer.
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
_STEPS_MAX = 1_000_000
_TURNS_MAX = "200"  # the stage's timeout is the real bound


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    kind = Kind(
        "goose",
        _start,
        _read,
        session_in_state=True,
        cumulative=_SUMS,
        give_up_reason=_give_up_reason,
        checks=True,
    )
    return Driven(kind, environ)


def _start(request: AttemptRequest) -> Start:
    provider, slash, model = request.brief.model.partition("/")
    env = {
        "GOOSE_PATH_ROOT": request.seen(request.state),
        "GOOSE_MODE": "auto",
        "GOOSE_DISABLE_KEYRING": "1",
        "GOOSE_TELEMETRY_ENABLED": "false",
        "CONTEXT_FILE_NAMES": "[]",  # instructions are in the brief
        "GOOSE_DISABLE_SESSION_NAMING": "true",
        "GOOSE_PROVIDER": provider if slash else request.brief.env.get("GOOSE_PROVIDER", "openai"),
    }
    if request.brief.model:
        env["GOOSE_MODEL"] = model or provider
    if request.endpoint:
        env |= {"OPENAI_HOST": request.endpoint, "ANTHROPIC_HOST": request.endpoint}
    arguments: tuple[str, ...] = (
        "run",
        "--output-format",
        "stream-json",
        "--no-profile",
        "--with-builtin",
        "developer",
    )
    if request.check is not None:  # it splits at spaces and quotes; a relative path has none
        program = os.path.relpath(
            request.lies(request.check.program).resolve(), (request.tree / request.brief.dir).resolve()
        )
        arguments = (*arguments, "--with-extension", program)
    again = ("--resume",) if request.session is not None else ()
    arguments = (*arguments, "--name", _SESSION, *again, "--max-turns", _TURNS_MAX, "-i", "-")
    if request.keys:  # it looks there for what is not in its environment
        write_private(request.state / "config" / "secrets.yaml", json.dumps(dict(request.keys)))
    return Start(arguments, env, request.text.encode(), request.keys)


def _read(request: AttemptRequest, log: Path) -> AgentReport:
    answer: list[str] = []
    newest, errors, begun = "", "", False
    last: Event = {}
    for event in events(log):
        match text(event, "type"):
            case "message":
                message = inner(event, "message")
                if text(message, "id") != newest or not _words(message):
                    answer.clear()  # the parts of a message have the same id
                newest = text(message, "id")
                answer.append(_words(message))
                begun = begun or text(message, "role") == "user"  # the result of a tool
                errors = _out_of_credit(message) or errors
            case "error":
                errors = text(event, "error") or text(event, "message") or "it reported an error without a text"
            case "complete":
                last = event
            case _:
                pass
    words = "".join(answer)
    own = words if not newest and words.startswith(_OWN) else ""  # a text of the model would have an id
    done = bool(count(last, "total_tokens")) and not errors and not own and _is_whole(request)
    if not done and not errors:
        errors = own or (f"the stream ended early: {words}" if last else _last_error(request, log))
    retries = tail(_own_log(request)).count(_AGAIN)
    printed = Usage(count(last, "input_tokens"), count(last, "output_tokens"))
    usage = printed if last else _session_usage(request)
    return AgentReport(
        done, message=words, error="" if done else errors, usage=usage, session=_SESSION, begun=begun, retries=retries
    )


def _is_whole(request: AttemptRequest) -> bool:
    """Whether its own log of calls says that the last answer was complete. goose takes a partial answer for a whole
    one, and prints the tokens of the calls before."""
    path = request.state / "state" / "logs" / "llm_request.0.jsonl"
    return not path.is_file() or any(inner(event, "usage") for event in last_events(path))


def _session_usage(request: AttemptRequest) -> Usage:
    """The usage in its session database: a program that was stopped does not print it."""
    path = request.state / "data" / "sessions" / "sessions.db"
    query = "select accumulated_input_tokens, accumulated_output_tokens from sessions where name = ?"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as sessions:
            sessions.set_progress_handler(lambda: 1, _STEPS_MAX)  # the program may have made it a query without end
            used = sessions.execute(query, (_SESSION,)).fetchone() or (None, None)
    except (sqlite3.Error, ValueError):
        return Usage()
    return Usage(*(number if isinstance(number, int) else None for number in used))


def _give_up_reason(request: AttemptRequest, log: Path) -> str:
    """It waits silently for a quota, for as long as the provider tells it to."""
    error = _last_error(request, log)
    return give_up_reason([error] if error else [], _own_log(request))


def _last_error(request: AttemptRequest, log: Path) -> str:
    """The last error in its own log, unless it went on after that: it prints none while it waits to retry."""
    own = _own_log(request)
    found = _FAILURE.findall(tail(own, request.state)) if _written(log) <= _written(own) else []
    return found[-1] if found else ""


def _own_log(request: AttemptRequest) -> Path:
    """Its newest log, or a path that does not exist."""
    logs = sorted((request.state / "state" / "logs" / "cli").glob("*/*.log"))
    return logs[-1] if logs else request.state / "none.log"


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

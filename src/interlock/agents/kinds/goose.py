"""goose: `goose run --output-format stream-json`. Its exit code is always 0: it succeeded where it told how many
tokens it used in all, and no error."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from interlock.agents.driven import Asked, Driven, Event, Kind, Start, Told, count, events, inner, tail, text
from interlock.agents.keys import private
from interlock.core.events import Usage
from interlock.ports import Agent

_FAILED = "Ran into this error"
_TURNS_MAX = "200"  # the stage's timeout is what bounds it


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    return Driven(Kind("goose", _start, _read, obeys=(".goose", ".agents"), checks=True), environ)


def _start(asked: Asked) -> Start:
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
        program = os.path.relpath(asked.check.program, asked.tree / asked.brief.dir)
        arguments = (*arguments, "--with-extension", program)
    arguments = (*arguments, "--no-session", "--max-turns", _TURNS_MAX, "-i", "-")
    if asked.keys:  # where it looks for what its environment does not hold
        private(asked.state / "config" / "secrets.yaml", json.dumps(dict(asked.keys)))
    return Start(arguments, env, asked.text.encode(), asked.keys)


def _read(asked: Asked, log: Path) -> Told:
    said, errors = "", ""
    last: Event = {}
    for event in events(log):
        match text(event, "type"):
            case "message":
                said = _words(inner(event, "message")) or said
            case "error":
                errors = text(event, "error") or text(event, "message") or "it told of an error"
            case "complete":
                last = event
            case _:
                pass
    done = bool(count(last, "total_tokens")) and not errors
    if not done and not errors:
        errors = said if _FAILED in said else f"the stream ended early: {said}" if last else _in_its_log(asked)
    usage = Usage(count(last, "input_tokens"), count(last, "output_tokens"))
    return Told(done, message=said, trouble="" if done else errors, usage=usage)


def _in_its_log(asked: Asked) -> str:
    """The last error in the log that it keeps: it tells of none while it waits to try again."""
    logs = sorted((asked.state / "state" / "logs" / "cli").glob("*/*.log"))
    found = re.findall(r"Provider request failed with (status: [^\n]{0,500})", tail(logs[-1])) if logs else []
    return found[-1] if found else ""


def _words(message: Event) -> str:
    if text(message, "role") != "assistant":
        return ""
    content = message.get("content")
    parts = [cast(Event, part) for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return "".join(text(part, "text") for part in parts if text(part, "type") == "text")

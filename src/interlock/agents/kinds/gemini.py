"""Gemini CLI: `gemini -o stream-json`. It succeeded if its `result` says `success` and its exit code is 0."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.isolation import without_mentions
from interlock.agents.logs import Event, count, events, inner, text
from interlock.agents.program import SERVER, TOOL, Check
from interlock.core.events import Usage
from interlock.ports import Agent

_AGAIN = re.compile(rb"^Attempt \d+ failed")  # a failed call of the model that it retries
_KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
_SETTINGS = {
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "advanced": {"ignoreLocalEnv": True},
    "general": {"maxAttempts": 3, "disableAutoUpdate": True, "disableUpdateNag": True, "enableAutoUpdate": False},
}


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    return Driven(Kind("gemini", _start, _read, session_in_state=True, checks=True), environ)


def _start(request: AttemptRequest) -> Start:
    home = request.state / "home"
    (home / ".gemini").mkdir(parents=True, exist_ok=True)
    settings = _settings(request) | (_servers(request.check) if request.check is not None else {})
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    _add_empty_env(request.tree.parent)
    env = {"GEMINI_CLI_HOME": request.seen(home), "GEMINI_CLI_NO_RELAUNCH": "true", "GEMINI_TELEMETRY_ENABLED": "false"}
    env["HOME"] = request.seen(home)
    if request.endpoint:
        env["GOOGLE_GEMINI_BASE_URL"] = request.endpoint
    model = ("-m", request.brief.model) if request.brief.model else ()
    mode = "plan" if request.reviews else "yolo"
    session = ("--resume", request.session.name) if request.session is not None else ()
    arguments = (*model, "-o", "stream-json", "--skip-trust", "--approval-mode", mode, *session)
    return Start(arguments, env, without_mentions(request.text).encode())


def _servers(check: Check) -> dict[str, object]:
    """Without `trust` it asks a person before each call of the server."""
    own = {"command": check.program, "timeout": check.timeout_s * 1000, "trust": True, "includeTools": [TOOL]}
    return {"mcpServers": {SERVER: own}}


def _settings(request: AttemptRequest) -> dict[str, object]:
    """Its commands see the environment of the brief without its own keys."""
    keys = {*_KEYS, *request.keys}
    redaction = {"enabled": True, "blocked": sorted(keys), "allowed": sorted(request.brief.env.keys() - keys)}
    security = {
        "auth": {"selectedType": "gemini-api-key"},
        "folderTrust": {"enabled": False},
        "environmentVariableRedaction": redaction,
    }
    return {**_SETTINGS, "security": security}


def _add_empty_env(folder: Path) -> None:
    """It reads the first `.env` in the folders above: so it finds an empty one before any of the user's."""
    (folder / ".gemini").mkdir(exist_ok=True)
    (folder / ".gemini" / ".env").touch()


def _read(request: AttemptRequest, log: Path) -> AgentReport:
    answer: list[str] = []
    result: Event = {}
    errors, session, model, begun = "", "", "", False
    for event in events(log):
        match text(event, "type"):
            case "init":
                session, model = text(event, "session_id"), text(event, "model")
            case "message" if text(event, "role") == "assistant":
                answer.append(text(event, "content"))
            case "tool_use":
                answer.clear()
                begun = True
            case "error":
                errors = text(event, "message")
            case "result":
                result = event
            case _:
                pass
    done = text(result, "status") == "success" and not errors
    stats = inner(result, "stats")
    return AgentReport(
        done,
        message="".join(answer),
        error="" if done else text(inner(result, "error"), "message") or errors,
        usage=Usage(count(stats, "input_tokens"), count(stats, "output_tokens"), count(stats, "cached")),
        model=model,
        session=session,
        begun=begun,
        retries=_retries(log),
    )


def _retries(log: Path) -> int:
    """It prints them as text, not as events."""
    with suppress(OSError), log.open("rb") as file:
        return sum(1 for line in file if _AGAIN.match(line))
    return 0

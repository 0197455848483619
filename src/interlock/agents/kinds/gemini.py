"""Gemini CLI: `gemini -o stream-json`. It succeeded where its `result` says `success` and its exit code is 0."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from interlock.agents.check_server import SERVER, TOOL, Check
from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.isolation import without_mentions
from interlock.agents.logs import Event, count, events, inner, text
from interlock.core.events import Usage
from interlock.core.programs import obeyed
from interlock.ports import Agent

_AGAIN = re.compile(rb"^Attempt \d+ failed")  # of a call of the model that it tries again
_KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
_SETTINGS = {
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "advanced": {"ignoreLocalEnv": True},
    "general": {"maxAttempts": 3, "disableAutoUpdate": True, "disableUpdateNag": True, "enableAutoUpdate": False},
}


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    obeys = obeyed("gemini")
    return Driven(Kind("gemini", _start, _read, stays=True, obeys=obeys, checks=True), environ)


def _start(asked: AttemptRequest) -> Start:
    home = asked.state / "home"
    (home / ".gemini").mkdir(parents=True, exist_ok=True)
    settings = _settings(asked) | (_servers(asked.check) if asked.check is not None else {})
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    _bounded(asked.tree.parent)
    env = {"GEMINI_CLI_HOME": str(home), "GEMINI_CLI_NO_RELAUNCH": "true", "GEMINI_TELEMETRY_ENABLED": "false"}
    env["HOME"] = str(home)
    if asked.endpoint:
        env["GOOGLE_GEMINI_BASE_URL"] = asked.endpoint
    model = ("-m", asked.brief.model) if asked.brief.model else ()
    mode = "plan" if asked.reviews else "yolo"
    session = ("--resume", asked.session.name) if asked.session is not None else ()
    arguments = (*model, "-o", "stream-json", "--skip-trust", "--approval-mode", mode, *session)
    return Start(arguments, env, without_mentions(asked.text).encode())


def _servers(check: Check) -> dict[str, object]:
    """It asks a person before each call of a server that it does not trust."""
    own = {"command": check.program, "timeout": check.timeout_s * 1000, "trust": True, "includeTools": [TOOL]}
    return {"mcpServers": {SERVER: own}}


def _settings(asked: AttemptRequest) -> dict[str, object]:
    """Its commands see what the brief lets it see, but for its own keys."""
    keys = {*_KEYS, *asked.keys}
    redaction = {"enabled": True, "blocked": sorted(keys), "allowed": sorted(asked.brief.env.keys() - keys)}
    security = {
        "auth": {"selectedType": "gemini-api-key"},
        "folderTrust": {"enabled": False},
        "environmentVariableRedaction": redaction,
    }
    return {**_SETTINGS, "security": security}


def _bounded(folder: Path) -> None:
    """It looks for a `.env` in each folder above, and takes the first one."""
    (folder / ".gemini").mkdir(exist_ok=True)
    (folder / ".gemini" / ".env").touch()


def _read(asked: AttemptRequest, log: Path) -> AgentReport:
    said: list[str] = []
    result: Event = {}
    errors, session, model, begun = "", "", "", False
    for event in events(log):
        match text(event, "type"):
            case "init":
                session, model = text(event, "session_id"), text(event, "model")
            case "message" if text(event, "role") == "assistant":
                said.append(text(event, "content"))
            case "tool_use":
                said.clear()
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
        message="".join(said),
        trouble="" if done else text(inner(result, "error"), "message") or errors,
        usage=Usage(count(stats, "input_tokens"), count(stats, "output_tokens"), count(stats, "cached")),
        model=model,
        session=session,
        begun=begun,
        retries=_retries(log),
    )


def _retries(log: Path) -> int:
    """It tells people of them, and not its events."""
    with suppress(OSError), log.open("rb") as file:
        return sum(1 for line in file if _AGAIN.match(line))
    return 0

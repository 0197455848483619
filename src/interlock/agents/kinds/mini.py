"""mini-swe-agent: `mini` with one task. It succeeded if its trajectory ends with `Submitted`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.logs import Event, count, inner, text
from interlock.core.events import Usage
from interlock.ports import Agent

_BYTES_MAX = 50_000_000
_SILENT_S = 900  # it does not stream
_PRINTED = "[printed by a command]"
_ARGUMENT_MAX = 100_000  # bytes; Linux takes 131,071
_CONFIGURATION = "lib/python3.{}/site-packages/minisweagent/config/mini.yaml"


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    return Driven(Kind("mini", _start, _read, quiet_s=_SILENT_S), environ)


def _start(request: AttemptRequest) -> Start:
    env = {
        "MSWEA_CONFIGURED": "true",
        "MSWEA_SILENT_STARTUP": "1",
        "MSWEA_COST_TRACKING": "ignore_errors",
        "MSWEA_GLOBAL_CONFIG_DIR": request.seen(request.state),
        "MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT": "2",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    if request.endpoint:
        env |= {"OPENAI_API_BASE": f"{request.endpoint}/v1", "ANTHROPIC_API_BASE": request.endpoint}
    model = ("-m", request.brief.model) if request.brief.model else ()
    trajectory = ("-o", request.seen(request.state / "trajectory.json"))
    arguments = (*_without_keys(request), *model, "-y", "--exit-immediately", "-l", "0", *trajectory)
    return Start((*arguments, "-t", _task(request)), env)


def _without_keys(request: AttemptRequest) -> tuple[str, ...]:
    """Its commands see its keys as empty. A `-c` replaces its own configuration, so that is named too: by its path,
    since a bare name could be a file in the checkout."""
    program = shutil.which("mini", path=request.brief.env.get("PATH", ""))
    keys = [part for name in request.keys for part in ("-c", f"environment.env.{name}=")]
    if program is None or not keys:
        return ()
    folder = Path(program).resolve().parents[1]
    configurations = (folder / _CONFIGURATION.format(minor) for minor in range(10, 30))
    found = next((path for path in configurations if path.is_file()), None)
    return ("-c", str(found), *keys) if found is not None else ()


def _task(request: AttemptRequest) -> str:
    """One argument. A text longer than the system allows is read from a file."""
    text = request.brief.text
    if len(text.encode()) < _ARGUMENT_MAX:
        return text
    path = request.state / "brief.md"
    path.write_text(text, encoding="utf-8")
    return f"Read the file {request.seen(path)} from its beginning to its end, in parts, and do what it says."


def _read(request: AttemptRequest, log: Path) -> AgentReport:
    path = request.state / "trajectory.json"
    trajectory = _content(path)
    status = text(inner(trajectory, "info"), "exit_status")
    messages = list(_messages(trajectory))
    answers = [text(one, "content") for one in messages if text(one, "role") == "assistant" and text(one, "content")]
    done = status == "Submitted"
    refusal = "" if done else _refusal(messages)
    submitted = _submitted(text(inner(trajectory, "info"), "submission"), messages)
    return AgentReport(
        done or bool(refusal),
        refused=bool(refusal),
        message=refusal or submitted or (answers[-1] if answers else ""),
        error="" if done or refusal or not status else f"{status}: {_raised(messages)}",  # its log quotes the work
        usage=_usage(messages),
        transcript=path if path.is_file() else None,
    )


def _submitted(printed: str, messages: list[Event]) -> str:
    """The output of the command that ended its work, which any command can do. If the output is not a part of the
    command itself, it may be a file of the work, and gets a line that says so."""
    last = next((one for one in reversed(messages) if text(one, "role") == "assistant"), {})
    actions = inner(last, "extra").get("actions")
    commands = [cast(Event, one) for one in actions if isinstance(one, dict)] if isinstance(actions, list) else []
    own = not printed.strip() or any(printed.strip() in text(one, "command") for one in commands)
    return printed if own else f"{_PRINTED}\n{printed}"


def _content(path: Path) -> Event:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            value = json.loads(file.read(_BYTES_MAX))
    except (OSError, ValueError, RecursionError):
        return {}
    return cast(Event, value) if isinstance(value, dict) else {}


def _messages(trajectory: Event) -> Iterator[Event]:
    messages = trajectory.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict):
            yield cast(Event, message)


def _usage(messages: list[Event]) -> Usage:
    used = [inner(message, "extra", "response", "usage") for message in messages]
    cached = [inner(one, "prompt_tokens_details") for one in used]
    return Usage(_sum(used, "prompt_tokens"), _sum(used, "completion_tokens"), _sum(cached, "cached_tokens"))


def _sum(parts: list[Event], name: str) -> int | None:
    found = [number for part in parts if (number := count(part, name)) is not None]
    return sum(found) if found else None


def _refusal(messages: list[Event]) -> str:
    """The text of the last answer, if the model refused or the provider blocked it."""
    answers = [answer for message in messages if (answer := inner(message, "extra", "response"))]
    choices = answers[-1].get("choices") if answers else ()
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and text(choice, "finish_reason") == "content_filter":
            return text(inner(choice, "message"), "content") or "the provider blocked the answer"
        if isinstance(choice, dict) and text(inner(choice, "message"), "refusal"):
            return text(inner(choice, "message"), "refusal")
    return ""


def _raised(messages: list[Event]) -> str:
    return text(inner(messages[-1], "extra"), "exception_str") if messages else ""

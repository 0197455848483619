"""Qwen Code: `qwen -o stream-json`. It succeeded where its `result` is no error, and its last words are none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.isolation import without_mentions
from interlock.agents.logs import Event, count, events, inner, tail, text
from interlock.agents.retries import of_no_use, since
from interlock.core.events import Usage
from interlock.core.programs import obeyed
from interlock.ports import Agent

_SETTINGS = {
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "general": {"disableAutoUpdate": True, "enableAutoUpdate": False},
}
# An error of the endpoint, told as what the model said, and after what it had said by then.
_ERROR = re.compile(r"\[API Error: (.*)\](?:\n(?:Possible quota|Please wait)[^\n]*)?\s*\Z", re.S)
# In its own log: an error of the endpoint, after which it tries again without a word.
_FAILURE = re.compile(r"^(\S+) \[ERROR\] .*?(?:OpenAI API Error: |Error: (?=Model stream ended))([^\n]*)", re.M)
_OPENAI = "https://api.openai.com/v1"


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    obeys = obeyed("qwen")
    sums = frozenset({"tokens_in", "tokens_out", "tokens_cached"})
    kind = Kind(
        "qwen", _start, _read, stays=True, cumulative=sums, streamed=_streamed, of_no_use=_of_no_use, obeys=obeys
    )
    return Driven(kind, environ)


def _start(asked: AttemptRequest) -> Start:
    home = asked.state / "qwen"
    home.mkdir(parents=True, exist_ok=True)
    (home / "settings.json").write_text(json.dumps(_SETTINGS), encoding="utf-8")
    base = f"{asked.endpoint}/v1" if asked.endpoint else asked.brief.env.get("OPENAI_BASE_URL") or _OPENAI
    env = {"QWEN_HOME": str(home), "OPENAI_BASE_URL": base}
    model = ("-m", asked.brief.model) if asked.brief.model else ()
    _own_log(asked).unlink(missing_ok=True)  # of the try before
    may: tuple[str, ...] = ("--approval-mode", "yolo")
    if asked.reviews:
        may = ("--approval-mode", "plan", "--exclude-tools", "edit", "--exclude-tools", "run_shell_command")
    always = ("--bare", "--auth-type", "openai", "--chat-recording", "-o", "stream-json")
    session = ("--resume", asked.session.name) if asked.session is not None else ()
    return Start((*always, *model, *may, *session), env, without_mentions(asked.text).encode())


def _read(asked: AttemptRequest, log: Path) -> AgentReport:
    result: Event = {}
    model, session, whole, begun = "", "", False, False
    for event in events(log):
        match text(event, "type"):
            case "system":
                model = text(event, "model") or model
                session = text(event, "session_id") or session
            case "assistant" if not event.get("parent_tool_use_id"):
                whole = bool(count(inner(event, "message", "usage"), "output_tokens"))  # told of a whole answer
                begun = begun or whole
            case "result":
                result = event
            case _:
                pass
    said = text(result, "result")
    found = _ERROR.match(said) if whole else _ERROR.search(said)
    done = result.get("is_error") is False and found is None
    wrong = (
        found[1] if found else text(inner(result, "error"), "message") or next(reversed(_in_its_log(asked, log)), "")
    )
    used = inner(result, "usage")
    return AgentReport(
        done,
        message=said if done else "",
        trouble="" if done else wrong,
        usage=Usage(count(used, "input_tokens"), count(used, "output_tokens"), count(used, "cache_read_input_tokens")),
        model=model,
        session=session,
        begun=begun,
        retries=len(_FAILURE.findall(tail(_own_log(asked)))),
    )


def _streamed(event: Event) -> tuple[str, int] | None:
    message = inner(event, "message")
    if text(event, "type") != "assistant":
        return None
    return text(message, "id"), count(inner(message, "usage"), "input_tokens", "output_tokens") or 0


def _of_no_use(asked: AttemptRequest, log: Path) -> str:
    return of_no_use(_in_its_log(asked, log), _own_log(asked))


def _in_its_log(asked: AttemptRequest, log: Path) -> list[str]:
    """The errors since it last got on, which it does not tell."""
    return since(_FAILURE.findall(tail(_own_log(asked))), log)


def _own_log(asked: AttemptRequest) -> Path:
    """The newest that it keeps, or one that is not there."""
    logs = sorted((asked.state / "qwen" / "debug").glob("*.txt"), key=lambda path: path.stat().st_mtime)
    return logs[-1] if logs else asked.state / "qwen" / "debug" / "none.txt"

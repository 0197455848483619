"""aider: one message from a file. Its exit code is always 0: its local log of calls says what was answered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from interlock.agents.driven import Asked, Driven, Event, Kind, Start, Told, events, inner, tail, text
from interlock.core.events import Usage
from interlock.ports import Agent

_ALWAYS = (
    "--yes-always", "--no-auto-commits", "--no-dirty-commits", "--no-check-update", "--no-show-release-notes",
    "--analytics-disable", "--no-show-model-warnings", "--no-gitignore", "--no-pretty", "--no-stream",
    "--no-fancy-input", "--no-detect-urls", "--no-suggest-shell-commands", "--disable-playwright",
)  # fmt: skip
_OBEYS = (".aider*", ".env")
_ERROR_MARKS = ("litellm.", "Error:", "did not conform", "API provider")
_LINES_MAX = 40
_SILENT_S = 900  # it is told not to stream, and says nothing before an answer is whole


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    return Driven(Kind("aider", _start, _read, silent_s=_SILENT_S, obeys=_OBEYS, leaves=".aider.tags.cache*"), environ)


def _start(asked: Asked) -> Start:
    prompt = asked.state / "brief.md"
    prompt.write_text(asked.brief.text, encoding="utf-8")
    files = {"chat-history": "chat.md", "input-history": "input", "llm-history": "llm.md"}
    kept = [part for name, file in files.items() for part in (f"--{name}-file", str(asked.state / file))]
    model = ("--model", asked.brief.model) if asked.brief.model else ()
    may = ("--dry-run", "--chat-mode", "ask") if asked.reviews else ()
    said = ("--analytics-log", str(asked.state / "calls.jsonl"), "--message-file", str(prompt))
    # Its linter is `python -m flake8` in the checkout: none of its modules is looked for there.
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONSAFEPATH": "1"}
    if asked.endpoint:
        env |= {"OPENAI_API_BASE": f"{asked.endpoint}/v1", "ANTHROPIC_API_BASE": asked.endpoint}
    return Start((*_ALWAYS, *model, *may, *kept, *said), env)


def _read(asked: Asked, log: Path) -> Told:
    calls = [event for event in events(asked.state / "calls.jsonl") if text(event, "event").startswith("message_send")]
    begun = [call for call in calls if text(call, "event") == "message_send_starting"]
    answered = [inner(call, "properties") for call in calls if text(call, "event") == "message_send"]
    lines = log.read_text("utf-8", "replace").splitlines() if log.is_file() else []
    wrong = [line for line in lines if any(mark in line for mark in _ERROR_MARKS)]
    done = bool(begun) and len(begun) == len(answered) and not any("did not conform" in line for line in wrong)
    chat = asked.state / "chat.md"
    return Told(
        done,
        message=_said(chat) or ("" if asked.reviews else "\n".join(lines[-_LINES_MAX:])),  # which quote the work
        trouble="" if done else "\n".join(wrong[:5]),
        usage=_usage(answered),
        model=text(answered[-1], "main_model") if answered else "",
        transcript=chat if chat.is_file() else None,
    )


def _said(chat: Path) -> str:
    """What the model said: in aider's own record of the chat, less what was asked (`####`) and aider's notes (`>`)."""
    lines = tail(chat).splitlines()
    asked = next((number for number, line in enumerate(lines) if line.startswith("#### ")), len(lines))
    return "\n".join(line for line in lines[asked:] if not line.startswith(("#### ", "> "))).strip()


def _usage(answered: list[Event]) -> Usage:
    if not answered:
        return Usage()
    cost = sum(_number(call, "cost") for call in answered)
    given, written = (
        int(sum(_number(call, name) for call in answered)) for name in ("prompt_tokens", "completion_tokens")
    )
    return Usage(given, written, cost_usd=cost or None)


def _number(call: Event, name: str) -> float:
    value = call.get(name)
    return float(value) if isinstance(value, int | float) and 0 <= value < 1e15 else 0.0

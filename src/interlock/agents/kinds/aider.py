"""aider: one message from a file. Its exit code is always 0: its local log of calls says what was answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.failures import Cause, classify_failure
from interlock.agents.logs import Event, events, inner, tail, text
from interlock.agents.retries import ERRORS_MAX
from interlock.core.events import Usage
from interlock.core.programs import obeyed
from interlock.ports import Agent

_ALWAYS = (
    "--yes-always", "--no-auto-commits", "--no-dirty-commits", "--no-check-update", "--no-show-release-notes",
    "--analytics-disable", "--no-show-model-warnings", "--no-gitignore", "--no-pretty", "--no-stream",
    "--no-fancy-input", "--no-detect-urls", "--no-suggest-shell-commands", "--disable-playwright",
)  # fmt: skip
_ANSWERED = "> Tokens: "  # of its record of the chat: what it prints after each reply
_AGAIN = re.compile(r"^> Retrying in [\d.]+ seconds", re.M)
_ERRORS = ("> litellm.", "> The API provider", "> Insufficient credits")
_EMPTY = "> Empty response received from LLM."  # and after it what the answer cost
_FULL = re.compile(r"> Model .{1,200} has hit a token limit!")
_HIDDEN = "/REDACTED"
_MISFIT = "> The LLM did not conform to the edit format."
_REPLY = re.compile(r"LLM RESPONSE \d{4}-\d\d-\d\dT[\d:]+")  # each line of what was said has who said it before it
_SPOKE = "ASSISTANT "
# It starts git in the folder of the work by itself: a folder that only looks like a repository is none.
_EXPLICIT = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.bareRepository",
    "GIT_CONFIG_VALUE_0": "explicit",
}
_LINES_MAX = 40
_SILENT_S = 900  # it is told not to stream, and says nothing before an answer is whole


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    obeys, leaves = obeyed("aider"), ".aider.tags.cache*"
    kind = Kind("aider", _start, _read, silent_s=_SILENT_S, of_no_use=_of_no_use, obeys=obeys, leaves=leaves)
    return Driven(kind, environ)


def _start(asked: AttemptRequest) -> Start:
    prompt = asked.state / "brief.md"
    prompt.write_text(asked.brief.text, encoding="utf-8")
    files = {"chat-history": "chat.md", "input-history": "input", "llm-history": "llm.md"}
    kept = [part for name, file in files.items() for part in (f"--{name}-file", str(asked.state / file))]
    model = ("--model", asked.brief.model) if asked.brief.model else ()
    may = ("--dry-run", "--chat-mode", "ask") if asked.reviews else ()
    said = ("--analytics-log", str(asked.state / "calls.jsonl"), "--message-file", str(prompt))
    # Its linter is `python -m flake8` in the checkout: none of its modules is looked for there.
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONSAFEPATH": "1", **_EXPLICIT}
    if asked.endpoint:
        env |= {"OPENAI_API_BASE": f"{asked.endpoint}/v1", "ANTHROPIC_API_BASE": asked.endpoint}
    return Start((*_ALWAYS, *model, *may, *kept, *said), env)


def _read(asked: AttemptRequest, log: Path) -> AgentReport:
    calls = [event for event in events(asked.state / "calls.jsonl") if text(event, "event").startswith("message_send")]
    begun = [call for call in calls if text(call, "event") == "message_send_starting"]
    answered = [inner(call, "properties") for call in calls if text(call, "event") == "message_send"]
    lines = log.read_text("utf-8", "replace").splitlines() if log.is_file() else []
    chat = asked.state / "chat.md"
    notes = _notes(chat)
    empty = _without_words(chat)
    full = next((line.removeprefix("> ") for line in notes if _FULL.fullmatch(line)), "")
    if full and answered and not _number(answered[-1], "completion_tokens"):
        answered.pop()  # which nobody answered: what it counts there is its own estimate
    wrong = full or _MISFIT in notes or empty
    done = bool(begun) and len(begun) == len(answered) and not wrong
    return AgentReport(
        done,
        message=_said(asked.state / "llm.md") or ("" if asked.reviews else "\n".join(lines[-_LINES_MAX:])),
        trouble="" if done else full or _wrong(notes) or empty,
        usage=_usage(answered),
        model=_model(asked, answered),
        retries=len(_AGAIN.findall(tail(chat))),
        transcript=chat if chat.is_file() else None,
    )


def _model(asked: AttemptRequest, answered: list[Event]) -> str:
    """Its log hides the names of models that it does not know."""
    told = text(answered[-1], "main_model") if answered else ""
    named = asked.brief.model or asked.brief.env.get("AIDER_MODEL", "")
    return named if told.endswith(_HIDDEN) else told


def _of_no_use(asked: AttemptRequest, log: Path) -> str:
    """It tries for minutes where nobody answers. Of other errors it gets over some, and goes on with no session."""
    errors = [line.removeprefix("> ") for line in _notes(asked.state / "chat.md") if line.startswith(_ERRORS[0])]
    unreached = len(errors) > ERRORS_MAX and classify_failure(errors[-1], 0.0).cause is Cause.UNREACHED
    return errors[-1] if unreached else ""


def _said(record: Path) -> str:
    """The last reply of the model, in aider's own record of the calls: it asks again where a reply names a file."""
    lines = tail(record).splitlines()
    starts = [number for number, line in enumerate(lines) if _REPLY.fullmatch(line)]
    said = takewhile(lambda line: f"{line} ".startswith(_SPOKE), lines[starts[-1] + 1 :]) if starts else ()
    return "\n".join(line.removeprefix(_SPOKE) for line in said).strip()


def _notes(chat: Path) -> list[str]:
    """What aider noted since the last reply of the model: errors before that are ones that it got over."""
    lines = [line.rstrip() for line in tail(chat).splitlines()]
    last = max((number for number, line in enumerate(lines) if line.startswith(_ANSWERED)), default=-1)
    return lines[last + 1 :]


def _without_words(chat: Path) -> str:
    """What aider noted of the last reply where that was empty: a model that refused, or an endpoint that failed."""
    lines = [line.strip() for line in tail(chat).splitlines()]
    last = max((number for number, line in enumerate(lines) if line.startswith(_ANSWERED)), default=0)
    before = lines[last - 1] if last else ""
    return before.removeprefix("> ") if before.startswith(_EMPTY) else ""


def _wrong(notes: list[str]) -> str:
    """The last error of the endpoint, and what aider says of it. Whatever else went wrong is none of the endpoint's."""
    errors = [line for line in notes if line.startswith(_ERRORS)]
    last = max((number for number, line in enumerate(errors) if line.startswith(_ERRORS[0])), default=0)
    return "" if _MISFIT in notes else "\n".join(line.removeprefix("> ") for line in errors[last:][:5])


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

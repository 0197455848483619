"""aider: one message from a file. Its exit code is always 0, so its own log of calls decides what was answered."""

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
from interlock.ports import Agent

_ALWAYS = (
    "--yes-always", "--no-auto-commits", "--no-dirty-commits", "--no-check-update", "--no-show-release-notes",
    "--analytics-disable", "--no-show-model-warnings", "--no-gitignore", "--no-pretty", "--no-stream",
    "--no-fancy-input", "--no-detect-urls", "--no-suggest-shell-commands", "--disable-playwright",
)  # fmt: skip
_ANSWERED = "> Tokens: "  # in its chat history, after each reply
_AGAIN = re.compile(r"^> Retrying in [\d.]+ seconds", re.M)
_ERRORS = ("> litellm.", "> The API provider", "> Insufficient credits")
_EMPTY = "> Empty response received from LLM."  # before the line with the cost of the answer
_FULL = re.compile(r"> Model .{1,200} has hit a token limit!")
_HIDDEN = "/REDACTED"
_MISFIT = "> The LLM did not conform to the edit format."
_REPLY = re.compile(r"LLM RESPONSE \d{4}-\d\d-\d\dT[\d:]+")  # then the text; each line begins with its speaker
_SPEAKER = "ASSISTANT "
# It starts git in the folder of the work: a folder there that only looks like a repository must not be taken for one.
_EXPLICIT = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.bareRepository",
    "GIT_CONFIG_VALUE_0": "explicit",
}
_LINES_MAX = 40
_SILENT_S = 900  # it does not stream, so it prints nothing until an answer is complete


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    leftovers = ".aider.tags.cache*"
    kind = Kind("aider", _start, _read, quiet_s=_SILENT_S, give_up_reason=_give_up_reason, leftovers=leftovers)
    return Driven(kind, environ)


def _start(request: AttemptRequest) -> Start:
    prompt = request.state / "brief.md"
    prompt.write_text(request.brief.text, encoding="utf-8")
    files = {"chat-history": "chat.md", "input-history": "input", "llm-history": "llm.md"}
    records = [part for name, file in files.items() for part in (f"--{name}-file", request.seen(request.state / file))]
    model = ("--model", request.brief.model) if request.brief.model else ()
    mode = ("--dry-run", "--chat-mode", "ask") if request.reviews else ()
    message = ("--analytics-log", request.seen(request.state / "calls.jsonl"), "--message-file", request.seen(prompt))
    # Its linter is `python -m flake8`, started in the checkout: Python must not import modules from there.
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONSAFEPATH": "1", **_EXPLICIT}
    if request.endpoint:
        env |= {"OPENAI_API_BASE": f"{request.endpoint}/v1", "ANTHROPIC_API_BASE": request.endpoint}
    return Start((*_ALWAYS, *model, *mode, *records, *message), env)


def _read(request: AttemptRequest, log: Path) -> AgentReport:
    calls = [
        event for event in events(request.state / "calls.jsonl") if text(event, "event").startswith("message_send")
    ]
    begun = [call for call in calls if text(call, "event") == "message_send_starting"]
    answered = [inner(call, "properties") for call in calls if text(call, "event") == "message_send"]
    lines = log.read_text("utf-8", "replace").splitlines() if log.is_file() else []
    chat = request.state / "chat.md"
    notes = _notes(chat)
    empty = _empty_reply(chat)
    full = next((line.removeprefix("> ") for line in notes if _FULL.fullmatch(line)), "")
    if full and answered and not _number(answered[-1], "completion_tokens"):
        answered.pop()  # nobody answered it: the tokens there are its own estimate
    failed = full or _MISFIT in notes or empty
    done = bool(begun) and len(begun) == len(answered) and not failed
    return AgentReport(
        done,
        message=_last_reply(request.state / "llm.md") or ("" if request.reviews else "\n".join(lines[-_LINES_MAX:])),
        error="" if done else full or _endpoint_error(notes) or empty,
        usage=_usage(answered),
        model=_model(request, answered),
        retries=len(_AGAIN.findall(tail(chat))),
        transcript=chat if chat.is_file() else None,
    )


def _model(request: AttemptRequest, answered: list[Event]) -> str:
    """Its log hides the name of a model that it does not know."""
    logged = text(answered[-1], "main_model") if answered else ""
    named = request.brief.model or request.brief.env.get("AIDER_MODEL", "")
    return named if logged.endswith(_HIDDEN) else logged


def _give_up_reason(request: AttemptRequest, log: Path) -> str:
    """It retries for minutes if the endpoint does not answer. It may recover from other errors, and has no session that
    could be resumed, so these do not stop it."""
    errors = [
        line.removeprefix("> ")
        for line in _notes(request.state / "chat.md", request.state)
        if line.startswith(_ERRORS[0])
    ]
    unreached = len(errors) > ERRORS_MAX and classify_failure(errors[-1], 0.0).cause is Cause.UNREACHED
    return errors[-1] if unreached else ""


def _last_reply(record: Path) -> str:
    """The last reply of the model, in aider's own record of the calls. It calls again if a reply names a file."""
    lines = tail(record).splitlines()
    starts = [number for number, line in enumerate(lines) if _REPLY.fullmatch(line)]
    reply = takewhile(lambda line: f"{line} ".startswith(_SPEAKER), lines[starts[-1] + 1 :]) if starts else ()
    return "\n".join(line.removeprefix(_SPEAKER) for line in reply).strip()


def _notes(chat: Path, state: Path | None = None) -> list[str]:
    """What aider printed after the last reply of the model. It recovered from errors before that. `state` as `tail`."""
    lines = [line.rstrip() for line in tail(chat, state).splitlines()]
    last = max((number for number, line in enumerate(lines) if line.startswith(_ANSWERED)), default=-1)
    return lines[last + 1 :]


def _empty_reply(chat: Path) -> str:
    """What aider printed if the last reply was empty: the model refused, or the endpoint failed."""
    lines = [line.strip() for line in tail(chat).splitlines()]
    last = max((number for number, line in enumerate(lines) if line.startswith(_ANSWERED)), default=0)
    before = lines[last - 1] if last else ""
    return before.removeprefix("> ") if before.startswith(_EMPTY) else ""


def _endpoint_error(notes: list[str]) -> str:
    """The last error of the endpoint, and what aider says of it. Other failures are not the endpoint's."""
    errors = [line for line in notes if line.startswith(_ERRORS)]
    last = max((number for number, line in enumerate(errors) if line.startswith(_ERRORS[0])), default=0)
    return "" if _MISFIT in notes else "\n".join(line.removeprefix("> ") for line in errors[last:][:5])


def _usage(answered: list[Event]) -> Usage:
    if not answered:
        return Usage()
    cost = sum(_number(call, "cost") for call in answered)
    tokens_in, tokens_out = (
        int(sum(_number(call, name) for call in answered)) for name in ("prompt_tokens", "completion_tokens")
    )
    return Usage(tokens_in, tokens_out, cost_usd=cost or None)


def _number(call: Event, name: str) -> float:
    value = call.get(name)
    return float(value) if isinstance(value, int | float) and 0 <= value < 1e15 else 0.0

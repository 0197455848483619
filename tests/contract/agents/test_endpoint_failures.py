"""A model that fails in the middle of the work: what the real programs recover from, and how they end otherwise."""

from __future__ import annotations

import itertools
import os
import threading
import time
from pathlib import Path

import pytest
from tests.contract.agents.world import MODELS, bin_of, work
from tests.model_server.script import Step
from tests.model_server.server import ModelServer

from interlock.agents import adapters, driven, retries
from interlock.agents.kinds import opencode
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec
from interlock.ports import Brief, Checkout, Ended

_ERROR = '{"type": "error", "error": {"type": "%s", "message": "%s"}}'
_GEMINI = '{"error": {"code": %d, "message": "%s", "status": "%s"}}'
_EDIT, _DONE = Step("edit", "two\n", "a.txt", "one\n"), Step("say", "All done, every bit of it.")
_BUSY = Step("status", _ERROR % ("overloaded_error", "Overloaded"), code=529, times=1)
_LIMITED = Step("status", _ERROR % ("rate_limit_error", "Rate limit reached"), code=429, times=1)
_FAR = Step(
    "status",
    _ERROR % ("rate_limit_error", "Rate limit reached. Try again in 300s."),
    code=429,
    headers={"retry-after": "300"},
)
_WENT_ON = "the endpoint failed or was at a limit, and the session was resumed"
_BILLING = "You exceeded your current quota, please check your plan and billing details."
_PROGRAMS = ("codex", "claude", "mini", "gemini", "opencode", "goose", "qwen")  # aider ends with its first call
SCENARIOS = {
    "busy": (_EDIT, _BUSY, _DONE),
    "limited": (_EDIT, _LIMITED, _DONE),
    "broken": (_EDIT, Step("short", share=0.6, times=1), _DONE),
    "early": (_EDIT, Step("early", share=0.6, times=1), _DONE),
    "down": (_EDIT, Step("status", _ERROR % ("api_error", "Internal server error"), code=500)),
    "key": (_EDIT, Step("status", _ERROR % ("authentication_error", "invalid api key"), code=401)),
    "cut": (_EDIT, Step("cut", share=0.6)),
    "far": (_EDIT, _FAR),
    "credit": (Step("status", _ERROR % ("invalid_request_error", "Your credit balance is too low"), code=400),),
    "quota": (Step("status", _ERROR % ("insufficient_quota", _BILLING), code=429),),
    "filter": (Step("filter", "I can"),),
    "gemini-key": (Step("status", _GEMINI % (400, "API key not valid.", "INVALID_ARGUMENT"), code=400),),
    "gemini-403": (Step("status", _GEMINI % (403, "Permission denied", "PERMISSION_DENIED"), code=403),),
    "gemini-500": (Step("status", _GEMINI % (500, "An internal error has occurred.", "INTERNAL"), code=500),),
}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits and few errors."""
    monkeypatch.setattr(retries, "_RESUME_WAITS_S", (0.1,))
    monkeypatch.setattr(driven, "RETRIES_MAX", 1)
    monkeypatch.setattr(retries, "_LIMITED_S", 8.0)
    for module in (retries, opencode):
        monkeypatch.setattr(module, "ERRORS_MAX", 1)


@pytest.fixture(params=_PROGRAMS)
def name(request: pytest.FixtureRequest) -> str:
    bin_of(request.param)
    return str(request.param)


def test_a_busy_endpoint_does_not_cost_the_attempt(name: str, model: ModelServer, checkout: Checkout) -> None:
    model.happened.clear()
    before = model.tokens("busy")
    outcome = work(name, model.base, "busy", checkout, timeout_s=90)
    assert outcome.ended is Ended.COMPLETED, outcome
    assert (checkout.tree / "a.txt").read_text() == "two\n"
    served = tuple(now - then for now, then in zip(model.tokens("busy"), before, strict=True))
    assert (outcome.usage.tokens_in, outcome.usage.tokens_out) == served[:2]
    silent = ("codex", "mini", "qwen")  # their libraries do not report the first retries
    assert outcome.notes == (() if name in silent else ("failed calls of the model that the program retried: 1",))


@pytest.mark.parametrize(
    ("program", "scenario"),
    [
        *itertools.product(("codex", "claude"), ("limited", "broken")),
        *itertools.product(("gemini", "goose", "opencode", "qwen"), ("broken",)),
        ("goose", "early"),
    ],
)
def test_a_short_limit_or_a_broken_stream_does_not_either(
    program: str, scenario: str, model: ModelServer, checkout: Checkout
) -> None:
    bin_of(program)
    model.happened.clear()
    before = model.tokens(scenario)
    outcome = work(program, model.base, scenario, checkout, timeout_s=90)
    assert outcome.ended is Ended.COMPLETED, outcome
    assert outcome.message.endswith("All done, every bit of it.")
    assert program not in ("gemini", "goose", "qwen") or _WENT_ON in outcome.notes
    served = model.tokens(scenario)[0] - before[0]
    used = outcome.usage.tokens_in or 0
    assert used == served or (program == "claude" and scenario == "broken" and used > served)  # also paid for
    if (program, scenario) == ("codex", "limited"):
        assert _WENT_ON in outcome.notes
        assert outcome.log is not None
        assert outcome.log.read_text().count('"thread.started"') == 2  # the log of both


@pytest.mark.parametrize(
    ("scenario", "ended", "permanent"),
    [
        ("down", Ended.UNAVAILABLE, False),
        ("cut", Ended.UNAVAILABLE, False),
        ("key", Ended.UNAVAILABLE, True),
        ("far", Ended.RATE_LIMITED, False),
    ],
)
def test_what_fails_after_the_first_call_is_no_success(
    name: str, model: ModelServer, checkout: Checkout, scenario: str, ended: Ended, permanent: bool
) -> None:
    begun, before = time.monotonic(), len(model.requests)
    outcome = work(name, model.base, scenario, checkout, timeout_s=120)
    assert (outcome.ended, outcome.permanent) == (ended, permanent), outcome
    assert time.monotonic() - begun < 120  # the timeout did not end it
    assert scenario != "key" or len(model.requests) - before <= 4
    assert (checkout.tree / "a.txt").read_text() == "two\n"
    assert outcome.usage.tokens_in  # of the call that succeeded


@pytest.mark.parametrize("scenario", ["credit", "quota"])
@pytest.mark.parametrize("name", [*_PROGRAMS, "aider"], indirect=True)
def test_no_credit_is_out_of_budget(name: str, model: ModelServer, checkout: Checkout, scenario: str) -> None:
    outcome = work(name, model.base, scenario, checkout, timeout_s=120)
    assert (outcome.ended, outcome.permanent) == (Ended.OUT_OF_BUDGET, True), outcome
    assert "add credit" in outcome.message


@pytest.mark.parametrize("program", ["codex", "claude", "gemini", "mini", "opencode"])
def test_an_answer_that_was_blocked_is_a_refusal(program: str, model: ModelServer, checkout: Checkout) -> None:
    bin_of(program)
    assert work(program, model.base, "filter", checkout).ended is Ended.REFUSED


@pytest.mark.parametrize(("scenario", "permanent"), [("gemini-key", True), ("gemini-403", True), ("gemini-500", False)])
def test_errors_of_gemini_in_json(scenario: str, permanent: bool, model: ModelServer, checkout: Checkout) -> None:
    outcome = work("gemini", model.base, scenario, checkout)
    assert (outcome.ended, outcome.permanent) == (Ended.UNAVAILABLE, permanent), outcome


def test_codex_is_told_at_once_that_nobody_answers(checkout: Checkout) -> None:
    begun = time.monotonic()
    outcome = work("codex", "http://127.0.0.1:9", "busy", checkout, timeout_s=60)
    assert (outcome.ended, outcome.permanent) == (Ended.UNAVAILABLE, False), outcome
    assert time.monotonic() - begun < 60


def test_a_program_too_old_for_its_flags_says_so(checkout: Checkout, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "codex"
    program.parent.mkdir()
    says = "error: unexpected argument '--skip-git-repo-check' found"
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec echo codex-cli 0.3.1\necho "{says}" >&2\nexit 2\n')
    program.chmod(0o755)
    env = {"PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(checkout.home), "TMPDIR": str(checkout.tmp)}
    brief = Brief("r", AttemptId("code", 1, 1), "x", "x", MODELS["codex"], env, 60, 0)
    outcome = adapters(os.environ)["codex"].work(AgentSpec("own", "codex"), brief, checkout, threading.Event())
    assert (outcome.ended, outcome.permanent) == (Ended.UNAVAILABLE, True), outcome
    assert outcome.message == f"codex 0.3.1 is too old: install 0.169.0 or newer; it said: {says}"

"""What becomes of a program that ran: its exit code, its errors, signals, and files that it left."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from tests.unit.agents.attempts import checkout_in, request_in

from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start, _exited, _outcome
from interlock.agents.isolation import leftovers
from interlock.agents.outside import cannot_stay_outside, keep_outside
from interlock.core.events import Usage
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec
from interlock.ports import Brief, Checkout, Ended, Outcome, Sandbox
from interlock.process import Finished, How

_KIND = Kind("own", lambda request: Start(()), lambda request, log: AgentReport())


@pytest.mark.parametrize(("code", "permanent"), [(1, False), (126, True), (127, True)])
def test_a_missing_command_is_permanent(code: int, permanent: bool) -> None:
    finished = Finished(How.EXITED, code, 0.0, truncated=False, tail=b"env: node: No such file or directory\n")
    outcome = _exited(_KIND, request_in(Path()), finished, AgentReport(), Outcome(Ended.COMPLETED))
    assert (outcome.ended, outcome.permanent) == (Ended.CRASHED, permanent)


def test_an_endpoint_error_overrides_the_exit_code() -> None:
    finished = Finished(How.EXITED, 127, 0.0, truncated=False, tail=b"")
    report = AgentReport(error="status 500", status=500)
    outcome = _exited(_KIND, request_in(Path()), finished, report, Outcome(Ended.COMPLETED))
    assert (outcome.ended, outcome.permanent) == (Ended.UNAVAILABLE, False)


@pytest.mark.parametrize("report", [AgentReport(error="status 429", status=429), AgentReport(done=True, refused=True)])
def test_a_program_ended_by_a_signal_has_crashed_whatever_it_reported(report: AgentReport, tmp_path: Path) -> None:
    finished = Finished(How.EXITED, -9, 0.0, truncated=False, tail=b"")
    kind = Kind("own", lambda request: Start(()), lambda request, log: AgentReport())
    outcome = _outcome(kind, request_in(tmp_path), finished, report, tmp_path / "log")
    assert (outcome.ended, outcome.message) == (Ended.CRASHED, "own: ended by signal 9")


@pytest.mark.parametrize(
    ("report", "worked"),
    [
        (AgentReport(error="status 429", status=429), False),
        (AgentReport(error="status 429", status=429, begun=True), True),
        (AgentReport(error="status 429", status=429, usage=Usage(100, 1)), True),
    ],
)
def test_a_limit_after_an_answer_counts_as_work(report: AgentReport, worked: bool, tmp_path: Path) -> None:
    kind = Kind("own", lambda request: Start(()), lambda request, log: AgentReport())
    finished = Finished(How.EXITED, 1, 0.0, truncated=False, tail=b"")
    outcome = _outcome(kind, request_in(tmp_path), finished, report, tmp_path / "log")
    assert (outcome.ended, outcome.worked) == (Ended.RATE_LIMITED, worked)


@pytest.mark.parametrize(
    ("how", "silent_s", "ended"),
    [
        (How.TIMED_OUT, 10, Ended.RATE_LIMITED),
        (How.TIMED_OUT, 400, Ended.TIMED_OUT),  # a retry was running
        (How.EXITED, 400, Ended.RATE_LIMITED),
    ],
)
def test_an_old_error_is_not_the_cause_of_a_timeout(how: How, silent_s: int, ended: Ended, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("")
    os.utime(log, (time.time() - silent_s,) * 2)
    finished = Finished(how, 1, 0.0, truncated=False, tail=b"")
    one_at_once = replace(_KIND, give_up_reason=lambda request, log: "", quiet_s=900)
    for kind in (_KIND, one_at_once):
        assert _outcome(kind, request_in(tmp_path), finished, AgentReport(error="status 429"), log).ended is ended


@pytest.mark.parametrize(
    ("how", "quiet_s", "why"),
    [
        (How.TIMED_OUT, 0, "did not end within 10 s (`timeout`)"),
        (How.IDLE, 0, "was silent for 5 s: no output, no write, no computing (`idle_timeout` of the stage)"),
        (How.IDLE, 900, "was silent for 900 s: no output, no write, no computing (the least for this program; "
         "the stage's `idle_timeout` may set more)"),
    ],
)  # fmt: skip
def test_a_timeout_says_how_long_it_was_and_which_key_sets_it(how: How, quiet_s: int, why: str, tmp_path: Path) -> None:
    request = request_in(tmp_path)
    request = replace(request, brief=replace(request.brief, timeout_s=10, idle_timeout_s=5))
    finished = Finished(how, None, 0.0, truncated=False, tail=b"")
    outcome = _outcome(replace(_KIND, quiet_s=quiet_s), request, finished, AgentReport(), tmp_path / "log")
    assert (outcome.ended, outcome.message) == (Ended.TIMED_OUT, f"{_KIND.name} {why}")


def test_missing_keys_are_reported_before_the_start(tmp_path: Path) -> None:
    """One of the program's keys is enough, also one from the stage."""
    kind = Kind("sh", _never, lambda request, log: AgentReport())
    spec = AgentSpec("coder", "sh", secrets=("ONE_KEY", "OPENAI_API_KEY"))
    brief = Brief("r", AttemptId("code", 1, 1), "x", "x", "", {"PATH": os.environ["PATH"], "ONE_KEY": ""}, 10, 0)
    outcome = Driven(kind, {}).work(spec, brief, checkout_in(tmp_path), Event())
    assert (outcome.ended, outcome.permanent) == (Ended.UNAVAILABLE, True)
    wanted = "set ONE_KEY or OPENAI_API_KEY, then `interlock resume`"
    assert outcome.message == f"sh: none of the agent's `secrets` is set: {wanted}"


def _never(request: AttemptRequest) -> Start:
    raise AssertionError("it was started")


def test_leftovers_are_found_in_the_folder_of_the_work_and_above_it(tmp_path: Path) -> None:
    for folder in ("", "pkg", "pkg/deep", "other"):
        (tmp_path / folder / ".aider.tags.cache.v4").mkdir(parents=True)
    left = leftovers(tmp_path, "pkg", ".aider.tags.cache*")
    assert sorted(str(path.parent.relative_to(tmp_path)) for path in left) == [".", "pkg"]
    assert leftovers(tmp_path, "pkg", "") == set()


OUTSIDE = {"key": '"proxied"'}


@pytest.mark.parametrize(
    ("level", "hosts", "env", "why"),
    [
        ("none", (), {"OPENAI_API_KEY": "sk-1"}, "needs `--sandbox full`: at `none` it can read every key of yours"),
        ("fs", (), {"OPENAI_API_KEY": "sk-1"}, "needs `--sandbox full`: at `fs` it has no network of its own"),
        ("full", None, {"OPENAI_API_KEY": "sk-1"}, "needs a network of its own"),
        ("full", (), {"OTHER": "sk-1"}, "set CODEX_API_KEY or OPENAI_API_KEY"),
    ],
)
def test_a_key_that_cannot_stay_outside(
    level: str, hosts: tuple[str, ...] | None, env: dict[str, str], why: str, tmp_path: Path
) -> None:
    spec = AgentSpec("own", "codex", options=tuple(OUTSIDE.items()))
    brief = Brief("r", AttemptId("code", 1, 1), "", "", "", env, 60, 0, hosts=hosts)
    checkout = Checkout(tmp_path, tmp_path, tmp_path, tmp_path, sandbox=Sandbox(level))
    assert why in cannot_stay_outside(spec, brief, checkout)


def test_a_key_is_hidden_wherever_it_stands_and_goes_to_its_endpoint() -> None:
    env = {"OPENAI_API_KEY": "sk-1", "URL": "https://a:sk-1@b", "OPENAI_HOST": "https://own.example/v1/"}
    brief = Brief("r", AttemptId("code", 1, 1), "", "", "", env, 60, 0, hosts=())
    for use, endpoint, real in (("goose", "", "https://own.example"), ("goose", "https://x", "https://x")):
        outside = keep_outside(AgentSpec("own", use, options=tuple(OUTSIDE.items())), brief, endpoint)
        assert outside.endpoint == real
        assert not [value for value in outside.hide(env).values() if "sk-1" in value]
    brief = replace(brief, env={"ANTHROPIC_API_KEY": "sk-1"})
    assert keep_outside(AgentSpec("own", "claude"), brief, "").endpoint == "https://api.anthropic.com"

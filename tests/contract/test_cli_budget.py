"""Limits, caps and what things cost: whole runs of the scripted agent, through the program."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from tests.contract.bad_input_world import Ground, Said, repository
from tests.contract.program import PROGRAM
from tests.nightly import rest_at_night

from interlock.agents.limits import DailyCap, with_daily_cap
from interlock.core.events import Usage
from interlock.core.ids import AttemptId
from interlock.ports import Brief, Ended, Outcome

SCRIPT = """\
stages:
  plan:
    right: [{write: {$ARTIFACTS/plan.md: "# Plan"}}]
    usage: {tokens_in: 1000, tokens_out: 0, cost_usd: 0.1}
  code:
    right: [{write: {app.txt: right}}]
    wrong: [[{write: {app.txt: wrong}}], [{write: {app.txt: worse}}]]
    sequence: [wrong_fix, wrong_fix, right]
    usage: {tokens_in: 10000, tokens_out: 0, cost_usd: 1.0}
"""
PIPELINE = """\
version: 1
name: paid
agents:
  writer: {use: scripted, script: script.yaml}
  other: {use: scripted, script: script.yaml}
LIMITS
stages:
  plan:
    agent: other
    writes: []
    produces:
      plan: {file: plan.md}
  code:
    needs: [plan]
    agent: writer
    OWN
    gates:
      - {id: right, run: grep -qx right app.txt}
"""


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path, repository(tmp_path / "repository"))


def run(ground: Ground, limits: str = "", own: str = "") -> Said:
    (ground.repository / "script.yaml").write_text(SCRIPT)
    text = PIPELINE.replace("LIMITS", limits).replace("    OWN\n", f"    {own}\n" if own else "")
    (ground.repository / "interlock.yaml").write_text(text)
    return ground.ask("run", "-t", "say right", "--plain")


def shown(ground: Ground) -> dict[str, object]:
    found: dict[str, object] = json.loads(ground.ask("show", "--json").out)
    return found["run"]


def test_show_tells_where_it_went_and_the_sums_agree(ground: Ground) -> None:
    said = run(ground)
    assert said.code == 0, said.text
    view = shown(ground)
    costs = view["costs"]
    stages = {share["of"]: share["spent"] for share in costs["by_stage"]}
    agents = {share["of"]: share["spent"] for share in costs["by_agent"]}
    assert list(stages) == ["code", "plan"]
    assert (stages["code"]["attempts"], stages["plan"]["attempts"]) == (3, 1)
    assert agents == {"writer": stages["code"], "other": stages["plan"]}
    for unit in ("tokens", "cost_usd", "attempts"):
        assert sum(share[unit] for share in stages.values()) == pytest.approx(view["spent"][unit])
    accepted = view["stages"][1]["attempts"][-1]["usage"]["tokens_in"]
    assert costs["rejected"]["attempts"] == 2
    assert costs["rejected"]["tokens"] == stages["code"]["tokens"] - accepted
    page = ground.ask("show", "--full").text
    assert "by stage code: 3 attempts, " in page
    assert "by agent writer: 3 attempts, " in page
    assert "on rejected work: 2 attempts, " in page


def test_most_of_a_limit_is_told_once_and_before_it_is_reached(ground: Ground) -> None:
    said = run(ground, "limits: {attempts: 5}")
    assert said.code == 0, said.text
    assert said.text.count("80 % of attempts used: 4 of 5") == 2  # as it happens, and at the end
    assert [amount["near"] for amount in shown(ground)["limits"]] == [True]
    assert "% of attempts used" not in run(ground, "limits: {attempts: 6}").text


@pytest.mark.parametrize(
    "own", rest_at_night(["limits: {tokens: 5000}", "limits: {cost_usd: 0.5}", "limits: {attempts: 1}"])
)
def test_a_stage_pauses_at_a_limit_of_its_own_and_goes_on_when_it_is_raised(ground: Ground, own: str) -> None:
    said = run(ground, own=own)
    assert said.code == 3, said.text
    name = own.split("{")[1].split(":")[0]
    assert f"code is paused (limit): code.{name}: " in said.text or f"paused (limit): code.{name}: " in said.text
    assert f"interlock resume {shown(ground)['id']} --raise code.{name}=N" in said.text
    wrong = ground.ask("resume", "--raise", f"plna.{name}=5", "--plain")
    assert wrong.code == 2
    assert f"code.{name}" in wrong.text
    raised = ground.ask("resume", "--raise", f"code.{name}=100000", "--plain")
    assert raised.code == 0, raised.text


def test_a_daily_cap_holds_for_all_runs_and_waits_for_midnight(ground: Ground) -> None:
    settings = Path(ground.environment()["XDG_CONFIG_HOME"]) / "interlock"
    settings.mkdir(parents=True)
    (settings / "settings.yaml").write_text("daily_tokens: 20000\n")
    first = run(ground)
    assert first.code == 0, first.text  # it is looked at before an attempt; what is at work ends
    words = (*PROGRAM, "run", "-t", "once more", "--plain")
    second = subprocess.Popen(words, cwd=ground.repository, env=ground.environment(), stderr=subprocess.PIPE)
    try:
        said = second.stderr.readline() + second.stderr.readline() + second.stderr.readline()
        while b"daily_tokens: " not in said:
            line = second.stderr.readline()
            assert line, said
            said += line
        done = subprocess.run([*PROGRAM, "show", "--json"], cwd=ground.repository, env=ground.environment(),
                              capture_output=True, check=True)  # fmt: skip
        stands = subprocess.run([*PROGRAM, "status"], cwd=ground.repository, env=ground.environment(),
                                capture_output=True, check=False, text=True)  # fmt: skip
        resumed = subprocess.run([*PROGRAM, "resume"], cwd=ground.repository, env=ground.environment(),
                                 capture_output=True, check=False, text=True)  # fmt: skip
    finally:
        second.terminate()
        second.communicate(timeout=60)
    view = json.loads(done.stdout)["run"]
    attempt = view["stages"][0]["attempts"][0]
    assert (attempt["phase"], view["spent"]["tokens"]) == ("errored", 0)
    assert attempt["why"].startswith("rate limited: daily_tokens: ")
    assert view["phase"] == "sleeping"
    at = datetime.fromtimestamp(view["sleeps_until"]).astimezone()
    assert (at.hour, at.minute) == (0, 0)
    since = datetime.fromtimestamp(view["sleeps_since"]).astimezone()
    assert f" waits since {since:%Y-%m-%d %H:%M:%S}, until " in stands.stdout
    assert resumed.returncode == 5
    assert f"and waits until {at:%Y-%m-%d} 00:00:00: " in resumed.stderr


class _Agent:
    """One that says it used this."""

    def __init__(self, usage: Usage) -> None:
        self.usage, self.asked = usage, 0

    def work(self, *what: object) -> Outcome:
        self.asked += 1
        return Outcome(Ended.COMPLETED, usage=self.usage)


def test_a_cap_in_dollars_counts_what_is_told_and_begins_anew_each_day(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    agent = _Agent(Usage(10, 10, None, 0.4))
    cap = DailyCap(tmp_path / "spent", cost_usd=1.0, now=lambda: now[0])
    agents = with_daily_cap({"x": agent}, cap)
    ends = [agents["x"].work(None, _brief("do it"), None, None) for _ in range(4)]
    assert [end.ended for end in ends] == [Ended.COMPLETED] * 3 + [Ended.RATE_LIMITED]
    assert agent.asked == 3
    assert agents["x"].work(None, _brief(""), None, None).ended is Ended.COMPLETED  # a script costs nothing
    (tmp_path / "spent" / "1999-01-01").touch()
    today = max((tmp_path / "spent").iterdir())
    today.write_bytes(today.read_bytes() + b'[1, "cut')
    assert cap.reached() == "daily_cost_usd: 1.2 of 1 used today"
    now[0] = ends[-1].retry_at + 1
    assert agents["x"].work(None, _brief("do it"), None, None).ended is Ended.COMPLETED


def test_without_a_cap_agents_are_left_alone(tmp_path: Path) -> None:
    agents = {"x": _Agent(Usage())}
    assert with_daily_cap(agents, DailyCap(tmp_path)) is agents


def _brief(text: str) -> Brief:
    return Brief("r", AttemptId("code", 1, 1), text, "", "", {}, 1, 1)

"""A retry that resumes the program's own session: what it is sent, what it remembers, what it costs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.agents.world import KEYS, MODELS, bin_of
from tests.contract.cli_world import new_world, stage_of
from tests.model_server.script import Step
from tests.model_server.server import serving

from interlock.agents.retries import Session, find_session, load_session, save_session, usage_since
from interlock.core.events import Usage

_PIPELINE = """\
version: 1
agents:
  coder: {{use: {name}, model: {model}, endpoint: "{base}", secrets: [{key}], price: {{input: 1, output: 1}}}}
stages:
  code:
    agent: coder
    session: resume
    prompt: "Make it three. {{% if feedback %}}SCENARIO:fresh{{% else %}}SCENARIO:first{{% endif %}}"
    gates:
      - {{id: three, run: "grep -q three a.txt || {{ echo SCENA''RIO:second; false; }}"}}
"""
_SCENARIOS = {
    "first": (Step("edit", "two\n", "a.txt", "one\n"), Step("say", "It is two.")),
    "second": (Step("say", "no step is due here"), Step("say", "nor here"),
               Step("edit", "three\n", "a.txt", "one\n"), Step("say", "It is three.")),
    "fresh": (Step("edit", "three\n", "a.txt", "one\n"), Step("say", "It is three.")),
}  # fmt: skip


@pytest.fixture(params=["codex", "claude"])
def name(request: pytest.FixtureRequest) -> str:
    bin_of(request.param)
    return str(request.param)


def test_the_second_attempt_remembers_the_first_and_tokens_count_once(name: str, tmp_path: Path) -> None:
    path = os.pathsep.join((bin_of(name), os.environ["PATH"]))
    keys = {KEYS[name]: "sk-test-key"}
    # A conversation that has had one call is at step 1.
    scenarios = {**_SCENARIOS, "second": (Step("say", "no step"), *_SCENARIOS["fresh"])}
    with serving(scenarios) as model:
        page = _PIPELINE.format(name=name, model=MODELS[name], base=model.base, key=KEYS[name])
        world = new_world(tmp_path, {"a.txt": "one\n", "interlock.yaml": page}, PATH=path, **keys)
        said = world.ask("run", "-t", "Make it three.", "--plain")
        assert said.code == 0, said.text
        view = world.show()
        asked = [body for _, body in model.requests if "SCENARIO:second" in body]
        served = sum(one.tokens_in + one.tokens_out for one in model.served)
    assert asked
    assert all("Make it three. SCENARIO:first" in body for body in asked)  # it remembers
    assert not any("SCENARIO:fresh" in body for body in asked)  # and the brief is not sent again
    assert "None of the rejected work is left in these files" in asked[0]
    assert view["spent"]["tokens"] == served
    first, second = stage_of(view, "code")["attempts"]
    assert second["usage"]["cost_usd"] < 3 * first["usage"]["cost_usd"]
    assert [item["name"] for item in second["evidence"]] == ["brief", "log", "session"]


def test_a_session_that_is_gone_or_odd_is_none(tmp_path: Path) -> None:
    path = save_session(
        tmp_path / "session", Session("a-1", "projects/x/a-1.jsonl", "key sk-abcdef", Usage(5)), ("sk-abcdef",)
    )
    saved = path.read_bytes()
    assert load_session(saved) == Session("a-1", "projects/x/a-1.jsonl", "key ***", Usage(5))
    for wrong in ({"version": 2}, {"file": "/etc/passwd"}, {"file": "../x"}, {"used": 5}, {"name": ""}):
        assert load_session(json.dumps({**json.loads(saved), **wrong}).encode()) is None, wrong
    assert load_session(saved[:-1]) is None
    assert find_session(tmp_path, "{}", "../../etc/passwd", Usage()) is None
    assert find_session(tmp_path, "*{}", "nothing", Usage()) is None


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.none() | st.integers(0, 10**9))
def test_what_was_used_since_is_never_less_than_nothing(now: int, before: int, cached: int | None) -> None:
    used = usage_since(Usage(now, 7, cached, 2.0), Usage(before, 3, 4, 0.5), frozenset({"tokens_in", "cost_usd"}))
    assert used == Usage(max(0, now - before), 7, cached, 1.5)

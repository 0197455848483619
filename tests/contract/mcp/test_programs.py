"""Real agent programs ask the server of a repository: their models read the answer once, and an error as it is."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import pytest
from tests.contract.agents.test_check_inside import number_in
from tests.contract.agents.world import KEYS, MODELS, bin_of, checkout_in
from tests.contract.cli_world import World, new_world
from tests.model_server.script import Step
from tests.model_server.server import serving

from interlock.agents import adapters
from interlock.agents.program import Check
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec
from interlock.ports import Brief, Ended

PIPELINE = """\
version: 1
stages:
  code:
    run: echo done > a.txt
    gates: [{id: look, approve: Is it good?}]
    on_reject: [{pause: true}]
"""
ASKED = "Please do it. SCENARIO:work"
PROGRAMS = {"claude": "mcp__interlock__get_run", "codex": "mcp__interlock__get_run", "gemini": "mcp_interlock_get_run"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = new_world(tmp_path / "w", {"interlock.yaml": PIPELINE})
    made.ask("run", "-t", "Do it.", "--plain").ended(3)
    return made


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_model_reads_an_answer_once(name: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "server"
    words = [f"{key}={value}" for key, value in world.environment().items()]
    argv = ["/usr/bin/env", "-i", *words, sys.executable, "-m", "interlock", "mcp"]
    program.write_text(f"#!/bin/sh\ncd '{world.repository}' && exec " + " ".join(f"'{word}'" for word in argv) + "\n")
    program.chmod(0o755)
    monkeypatch.setattr("interlock.agents.driven.offer_check", lambda *_: Check(str(program), 60))
    monkeypatch.setattr(f"interlock.agents.kinds.{name}.TOOL", "get_run")
    tool = PROGRAMS[name]
    steps = (Step("tool", "{}", tool), Step("tool", '{"run": "nothere"}', tool), Step("say", "It waits."))
    checkout = checkout_in(tmp_path / "checkout")
    with serving({"work": steps}) as model:
        env = {"PATH": f"{bin_of(name)}:{os.environ['PATH']}", "HOME": str(checkout.home)}
        env |= {"TMPDIR": str(checkout.tmp), KEYS[name]: "sk-test"}
        brief = Brief("r", AttemptId("code", 1, 1), ASKED, ASKED, MODELS[name], env, 90, 0)
        options = (("endpoint", json.dumps(model.base)),)
        spec = AgentSpec("own", name, model=MODELS[name], secrets=(KEYS[name],), options=options)
        outcome = adapters(os.environ)[name].work(spec, brief, checkout, threading.Event())
        bodies = [body for _, body in model.requests if "SCENARIO:work" in body and number_in(body) is not None]
    assert outcome.ended is Ended.COMPLETED, outcome
    read = bodies[-1].replace("\\", "")
    assert read.count('"who_acts":"person"') == 1
    assert read.count('"detail":"Is it good?"') == 1
    assert "no run nothere in this repository: `list_runs`" in read

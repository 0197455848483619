"""A whole run in which the plan is by claude and the code by codex on the scripted model server."""

from __future__ import annotations

import os
from pathlib import Path

from tests.contract.agents.world import bin_of
from tests.contract.cli_world import new_world, stage_of
from tests.model_server.script import Step
from tests.model_server.server import serving

_PIPELINE = """\
version: 1
agents:
  planner: {{use: claude, model: claude-sonnet-4-5, endpoint: "{base}", secrets: [ANTHROPIC_API_KEY]}}
  coder: {{use: codex, model: gpt-5, endpoint: "{base}/v1", secrets: [OPENAI_API_KEY]}}
stages:
  plan:
    agent: planner
    prompt: "Write the plan. SCENARIO:plan"
    gates:
      - {{id: there, run: test -s plan.md}}
  code:
    needs: [plan]
    agent: coder
    prompt: "Do what the plan says. SCENARIO:code"
    gates:
      - {{id: done, run: "grep -q two a.txt"}}
"""
_SCENARIOS = {
    "plan": (Step("write", "R1: one becomes two\n", "plan.md"), Step("say", "Planned.")),
    "code": (Step("edit", "two\n", "a.txt", "one\n"), Step("say", "Done.")),
}


def test_claude_plans_and_codex_codes(tmp_path: Path) -> None:
    path = os.pathsep.join((bin_of("claude"), bin_of("codex"), os.environ["PATH"]))
    with serving(_SCENARIOS) as model:
        files = {"a.txt": "one\n", "interlock.yaml": _PIPELINE.format(base=model.base)}
        world = new_world(tmp_path, files, PATH=path, ANTHROPIC_API_KEY="sk-a", OPENAI_API_KEY="sk-o")
        said = world.ask("run", "--task", "Make it two.")
        assert said.code == 0, said.text
        view = world.show()
        for stage in ("plan", "code"):
            assert stage_of(view, stage)["phase"] == "accepted", view
        total = sum(sum(model.tokens(name)[:2]) for name in _SCENARIOS)
    assert view["spent"]["tokens"] == total, view["spent"]

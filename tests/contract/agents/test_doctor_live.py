"""`doctor --live`: one tiny call, and its result."""

from __future__ import annotations

import os
from pathlib import Path

from tests.contract.agents.world import bin_of
from tests.contract.cli_world import new_world
from tests.model_server.server import serving
from tests.rooms_here import needs_rooms

_PIPELINE = """\
version: 1
agents:
  coder: {{use: codex, model: gpt-5, endpoint: "{base}", secrets: [OPENAI_API_KEY]}}
stages:
  code:
    agent: coder
    gates: [{{id: there, run: "true"}}]
"""


def test_an_agent_of_a_pipeline_answers_and_says_what_it_used(tmp_path: Path) -> None:
    path = os.pathsep.join((bin_of("codex"), os.environ["PATH"]))
    with serving({}) as model:
        files = {"interlock.yaml": _PIPELINE.format(base=model.base)}
        world = new_world(tmp_path, files, PATH=path, OPENAI_API_KEY="sk-test")
        world.ask("doctor", "--live", "coder").ended(0, "✓ agent coder: completed in ", "(gpt-5)", "1.0k tokens")
        told = world.ask("doctor", "--live", "coder", "--json").json()
        assert (told["ended"], told["usage"]["tokens_in"]) == ("completed", 1000)
        assert len(model.served) == 2
        assert world.git("status", "--porcelain") == ""


@needs_rooms
def test_an_agent_is_called_in_the_sandbox_that_runs_have(tmp_path: Path) -> None:
    path = os.pathsep.join((bin_of("codex"), os.environ["PATH"]))
    with serving({}) as model:
        page = _PIPELINE.format(base=model.base).replace("secrets:", "key: proxied, secrets:")
        world = new_world(tmp_path, {"interlock.yaml": page}, PATH=path, OPENAI_API_KEY="sk-TOPSECRET-1234")
        world.ask("doctor", "--live", "coder", INTERLOCK_SANDBOX="").ended(0, "✓ agent coder: completed in ")
        assert model.headers[-1]["authorization"] == "Bearer sk-TOPSECRET-1234"
        said = world.ask("doctor", "--live", "coder", INTERLOCK_SANDBOX="none")
        said.ended(5, "`key: proxied` needs `--sandbox full`")


def test_a_program_that_is_not_there_and_a_name_that_nobody_has(tmp_path: Path) -> None:
    world = new_world(tmp_path, {"a": ""}, PATH="/usr/bin:/bin")
    world.ask("doctor", "--live", "goose").ended(5, "✗ agent goose: unavailable", "goose: not found on PATH")
    world.ask("doctor", "--live", "nobody").ended(2, "--live nobody: there is no such agent")

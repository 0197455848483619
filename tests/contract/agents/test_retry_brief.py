"""What aider gets for a second attempt: it has no shell, so the text has all that it needs."""

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
  coder: {{use: aider, model: openai/gpt-4o, endpoint: "{base}", secrets: [OPENAI_API_KEY]}}
stages:
  code:
    agent: coder
    dir: part
    writes: [src/**]
    prompt: "Make it three. {{% if feedback %}}SCENARIO:right{{% else %}}SCENARIO:wrong{{% endif %}}"
    gates:
      - {{id: three, run: "grep -q three src/a.txt || {{ echo 'src/a.txt:1: it is not three'; false; }}"}}
"""
_SCENARIOS = {
    "wrong": (Step("edit", "two\n", "part/src/a.txt", "one\n"),),
    "right": (Step("edit", "three\n", "part/src/a.txt", "one\n"),),
}


def test_a_retry_shows_what_was_wrong_and_what_did_not_work(tmp_path: Path) -> None:
    path = os.pathsep.join((bin_of("aider"), os.environ["PATH"]))
    with serving(_SCENARIOS) as model:
        files = {"part/src/a.txt": "one\n", "interlock.yaml": _PIPELINE.format(base=model.base)}
        world = new_world(tmp_path, files, PATH=path, OPENAI_API_KEY="sk-o")
        said = world.ask("run", "-t", "Go", "--plain")
        bodies = [body for _, body in model.requests if "SCENARIO:right" in body]
    assert said.code == 0, said.text
    assert len(stage_of(world.show(), "code")["attempts"]) == 2
    for told in (
        "code/1.1 was rejected",
        "it is not three",
        "What did not work",
        "-one\\n+two\\n",
        "folder `part`",
        "`part/` stands",
        "- src/**",
    ):
        assert told in bodies[0], told
    assert str(tmp_path) not in bodies[0].partition("What was wrong")[2]

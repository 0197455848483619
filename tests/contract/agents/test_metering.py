"""A limit that is reached in the middle of an attempt: the program is stopped, nothing is lost, and the run continues
when the limit is raised."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.contract.agents.world import KEYS, MODELS, bin_of
from tests.contract.cli_world import new_world, stage_of
from tests.model_server.script import Step
from tests.model_server.server import serving

from interlock.agents.limits import Meter, OverBudget

_PIPELINE = """\
version: 1
agents:
  coder: {{use: {name}, model: {model}, endpoint: "{base}", secrets: [{key}]}}
limits: {{{limit}}}
stages:
  code:
    agent: coder
    prompt: "Make it two. SCENARIO:long"
    gates:
      - {{id: two, run: grep -q two a.txt}}
"""
_STEPS = (
    *(Step("shell", f"echo {n} > step") for n in range(5)),
    Step("edit", "two\n", "a.txt", "one\n"),
    Step("say", "x"),
)


@pytest.mark.parametrize(("name", "limit"), [
    ("claude", "tokens: 2500"), ("opencode", "tokens: 2500"), ("claude", "cost_usd: 0.006"),
])  # fmt: skip
def test_an_attempt_ends_at_the_limit_and_goes_on_when_it_is_raised(name: str, limit: str, tmp_path: Path) -> None:
    path = os.pathsep.join((bin_of(name), os.environ["PATH"]))
    with serving({"long": _STEPS}) as model:
        page = _PIPELINE.format(name=name, model=MODELS[name], base=model.base, key=KEYS[name], limit=limit)
        keys = {KEYS[name]: "sk-test-key"}
        world = new_world(tmp_path, {"a.txt": "one\n", "interlock.yaml": page}, PATH=path, **keys)
        said = world.ask("run", "-t", "Make it two.", "--plain")
        assert said.code == 3, said.text
        unit = limit.partition(":")[0]
        assert f"paused (limit): {unit}: " in said.text
        assert len(model.served) < len(_STEPS)
        first = stage_of(world.show(), "code")["attempts"][0]
        assert (first["phase"], first["why"].partition(":")[0]) == ("errored", "out of budget")
        raised = world.ask("resume", "--raise", f"{unit}=1000000", "--plain")
    assert raised.code == 0, raised.text


def test_each_call_counts_once_whatever_the_chunks() -> None:
    def streamed(event):
        return (str(event["call"]), int(event["tokens"])) if "call" in event else None

    lines = [{"call": 1, "tokens": 10}, {"call": 1, "tokens": 12}, {"other": 1}, {"call": 2, "tokens": 5}]
    stream = b"noise\n{broken\n" + b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    for size in (1, 7, 1000):
        meter = Meter(streamed, 18)
        for at in range(0, len(stream), size):
            meter(stream[at : at + size])
        with pytest.raises(OverBudget, match="stopped after 18 tokens: the limits allowed 18") as raised:
            meter(b'{"call": 3, "tokens": 1}\n')
        assert raised.value.tokens == 18

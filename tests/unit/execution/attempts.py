"""A pipeline, an attempt at it and what the ports answer, for the tests of attempts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.unit.execution.recorder import Scene

from interlock.core.effects import StartAttempt
from interlock.core.events import (
    RunStarted,
)
from interlock.core.ids import AttemptId
from interlock.core.pipeline import (
    AgentSpec,
    Artifact,
    CommandLine,
    Gate,
    GateKind,
    Pipeline,
    Scope,
    Setup,
    Stage,
    Text,
)
from interlock.execution.context import Context
from interlock.ports import (
    Candidate,
    Checkout,
    CheckoutSpec,
    Ended,
    Outcome,
    Stamp,
)

ROOT = Path("/places/1")
PLACE = Checkout(ROOT, ROOT / "tree", ROOT / "home", ROOT / "tmp", env=(("VIRTUAL_ENV", "/v"),))
PLAN = Stage("plan", produces=(Artifact("plan", "plan.md"),), agent="coder")
CODE = Stage(
    "code",
    needs=("plan",),
    agent="coder",
    brief=Text("{{ prompt }}{% if resumed %} again{% endif %}"),
    instructions=(),
    gates=(Gate("test", GateKind.RUN, CommandLine(("make", "test"))),),
    env=("LANGUAGE",),
    secrets=("TOKEN",),
    dir="web",
    timeout_s=70,
    idle_timeout_s=7,
    scope=Scope(writes=("web/**",)),
)
SCRIPT = Stage("script", command=CommandLine(shell="make all"), env=("LANGUAGE", "UNSET"), digest="its definition")
CODER = AgentSpec("coder", "command", model="large", env=("EDITOR",), secrets=("KEY",))
SETUP = (Setup(CommandLine(("make", "setup"))),)
PIPELINE = Pipeline("p", (PLAN, CODE, SCRIPT, Stage("join", ("code",))), (CODER,), setup=SETUP, carry=(".env",))
ENVIRON = {
    "LANGUAGE": "ko", "TOKEN": "a-long-token", "KEY": "a-long-key", "EDITOR": "vi", "HOME": "/home/ann", "OTHER": "x",
}  # fmt: skip
STARTED = RunStarted("r1", "p", "digest", "Mend it.", "base", "base tree", (), inputs=(("level", "3"),))
CONTEXT = Context("r1", PIPELINE, STARTED, 10.0, ENVIRON, 2.0)
ID = AttemptId("code", 2, 3)
EFFECT = StartAttempt(ID, "coder", "input", "input tree")
SCRIPTED = StartAttempt(AttemptId("script", 1, 1), "", "input", "input tree")
DONE = Outcome(Ended.COMPLETED, "done")
MADE = Candidate("made", "made tree", ("a.pyc", "b.pyc"))
STAMP = Stamp("interlock: code/2.3 by coder\n\nBy: coder\nRun: r1", 1_000)
SPEC = CheckoutSpec(SETUP, (".env",), base="base")
REF = "refs/interlock/r1/code/2.3"


def with_stage(**changes: Any) -> Context:
    stages = (PLAN, replace(CODE, **changes), SCRIPT)
    return replace(CONTEXT, pipeline=replace(PIPELINE, stages=stages, _by_id={}))


def scene_of(work: Any = DONE, **answers: Any) -> Scene:
    usual = {"open": PLACE, "snapshot": MADE, "wipe": None, "read": None, "changes": (), "has": True}
    return Scene(**{**usual, "work": work, **answers})


def names(scene: Scene) -> list[str]:
    return [call[0] for call in scene.calls]

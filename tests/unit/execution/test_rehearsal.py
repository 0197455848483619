"""What an agent is given to check itself with: read back as it was written, without what is not for it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from interlock.core import pipeline as model
from interlock.core.conflicts import Side, SideChange, Undecided
from interlock.core.effects import StartAttempt
from interlock.core.events import RunStarted
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Artifact, CommandLine, Gate, GateKind, Pipeline, Rule, Setup, Stage
from interlock.execution.context import Context
from interlock.execution.rehearsal import decode_rehearsal, encode_rehearsal
from interlock.gates.kinds.review import Review
from interlock.ports import UsageError

MAKE = CommandLine(("make", "test"))
OFFERED = (Gate("unit", GateKind.RUN, MAKE, digest="d"), Gate("lint", GateKind.RUN, MAKE, dir="web"))
WITHHELD = (
    Gate("hidden", GateKind.RUN, MAKE, held_out="rounding"),
    Gate("secret", GateKind.RUN, MAKE, secrets=("TOKEN",)),
    Gate("alone", GateKind.RUN, MAKE, exclusive=("port",)),
    Gate("look", "review", options=Review(by=("critic",))),
    Gate("merge", GateKind.APPROVE, question="Merge?"),
)
FIRST = Stage("first", gates=OFFERED)
PLAN = Stage("plan", ("first",), agent="coder", produces=(Artifact("plan", "plan.md"),), gates=OFFERED)
CODE = Stage("code", ("plan",), "coder", gates=(*WITHHELD[:1], *OFFERED, *WITHHELD[1:]), on_reject=(Rule(goto="plan"),))
BASE = model.Tests.BASE
LATER = Stage("ship", ("code",), gates=(Gate("old", GateKind.RUN, MAKE, dir="web", tests=BASE, used="python.test"),))
SETUP = (Setup(MAKE),)
PIPELINE = Pipeline("p", (FIRST, PLAN, CODE, LATER), setup=SETUP, carry=(".env",), digest="its digest")
STARTED = RunStarted("r1", "p", "d", "Mend it.", "base", "tree", (), (("level", "3"),))
CONTEXT = Context("r1", PIPELINE, STARTED, 0.0)
UNDECIDED = Undecided("a.bin", "binary", (Side("a", "c1", SideChange.CHANGED),), "as it was", True)
EFFECT = StartAttempt(AttemptId("code", 1, 1), "coder", "c", "t", conflicts=("a.bin", "b.py"), undecided=(UNDECIDED,))


def test_it_holds_the_gates_that_are_for_agents_and_names_the_others_but_the_hidden() -> None:
    told = decode_rehearsal(encode_rehearsal(CONTEXT, CODE, EFFECT))
    assert (told.stage, told.task, told.inputs) == ("code", "Mend it.", (("level", "3"),))
    assert told.left_out == ("secret", "alone", "look", "merge")
    assert told.conflicts == ("a.bin", "b.py")
    assert told.undecided == (replace(UNDECIDED, sides=(Side("a", "", SideChange.CHANGED),)),)
    assert told.pipeline.stages == (
        Stage("first"),
        Stage("plan", ("first",), produces=PLAN.produces),
        replace(CODE, gates=OFFERED, on_reject=()),
        Stage("code-guards", ("code",), gates=(Gate("old", GateKind.RUN, dir="web", tests=BASE, used="python.test"),)),
    )
    assert (told.pipeline.name, told.pipeline.digest) == ("p", "its digest")
    assert (told.pipeline.setup, told.pipeline.carry) == (SETUP, (".env",))


def test_without_a_merge_there_are_no_conflicts() -> None:
    told = decode_rehearsal(encode_rehearsal(CONTEXT, CODE))
    assert (told.conflicts, told.undecided) == ((), ())


@pytest.mark.parametrize("gate", WITHHELD, ids=lambda gate: gate.id)
def test_a_stage_without_gates_for_agents_offers_nothing(gate: Gate) -> None:
    assert encode_rehearsal(CONTEXT, replace(CODE, gates=(gate,))) == ""
    assert encode_rehearsal(CONTEXT, replace(CODE, gates=(gate, OFFERED[0])))


def test_one_of_an_earlier_version_has_no_conflicts() -> None:
    said = json.loads(encode_rehearsal(CONTEXT, CODE, EFFECT))
    del said["conflicts"], said["undecided"]
    told = decode_rehearsal(json.dumps(said))
    assert (told.conflicts, told.undecided) == ((), ())


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_something_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="this is not the file that an agent got"):
        decode_rehearsal(text)

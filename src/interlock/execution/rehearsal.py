"""What an agent may ask of its own gates before it hands over: its stage, less the gates that are not for it.

Rule: a courtesy. Nothing that is said there counts. It never holds a gate that is held out, that asks people, other
agents or an outside CI, that needs secrets, or that must be alone on this machine.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from interlock.conventions.protected_changes import guards
from interlock.core.conflicts import Side, SideChange, Undecided
from interlock.core.effects import StartAttempt
from interlock.core.pipeline import Gate, GateClass, Pipeline, Stage
from interlock.execution.context import Context
from interlock.gates.kinds import find
from interlock.pipelinefile import decode_pipeline, encode_pipeline
from interlock.ports import UsageError


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The gates of `stage` in a pipeline of its own, and the values that they see. `left_out` are the names of gates
    that will judge all the same."""

    pipeline: Pipeline
    stage: str
    task: str
    inputs: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...]
    conflicts: tuple[str, ...] = ()
    undecided: tuple[Undecided, ...] = ()  # the sides without their commits: in a checkout they are branches


def encode_rehearsal(context: Context, stage: Stage, effect: StartAttempt | None = None) -> str:
    """JSON text for `decode_rehearsal`, empty where no gate is for the agent."""
    offered = tuple(gate for gate in stage.gates if _is_offered(gate))
    if not offered:
        return ""
    before = tuple(Stage(one.id, one.needs, produces=one.produces) for one in _upstream(context.pipeline, stage))
    own = replace(stage, gates=offered, on_reject=())
    known = context.pipeline
    asked = (Gate(gate.id, gate.kind, dir=gate.dir, tests=gate.tests, used=gate.used) for gate in guards(known, stage))
    later = Stage(f"{stage.id}-guards", (stage.id,), gates=tuple(asked))  # never run here: they say what may grow
    cut = Pipeline(known.name, (*before, own, later), setup=known.setup, carry=known.carry, digest=known.digest)
    return json.dumps(
        {
            "pipeline": encode_pipeline(cut),
            "stage": stage.id,
            "task": context.started.task,
            "inputs": context.started.inputs,
            "conflicts": effect.conflicts if effect else (),
            "undecided": [_as_json(item) for item in effect.undecided] if effect else [],
            "left_out": [gate.id for gate in stage.gates if gate not in offered and not gate.held_out],
        }
    )


def decode_rehearsal(text: str) -> Rehearsal:
    """Raises UsageError where it is something else."""
    try:
        said = json.loads(text)
        return Rehearsal(
            decode_pipeline(said["pipeline"]),
            str(said["stage"]),
            str(said["task"]),
            tuple((str(name), str(value)) for name, value in said["inputs"]),
            tuple(map(str, said["left_out"])),
            tuple(map(str, said.get("conflicts", ()))),
            tuple(_undecided(item) for item in said.get("undecided", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"this is not the file that an agent got for its own check ({error!r})") from error


def _as_json(item: Undecided) -> dict[str, object]:
    sides = [(side.stage, side.did) for side in item.sides]
    return {"path": item.path, "kind": item.kind, "sides": sides, "left": item.left, "marked": item.marked}


def _undecided(said: dict[str, Any]) -> Undecided:
    sides = tuple(Side(str(stage), "", SideChange(did)) for stage, did in said["sides"])
    return Undecided(str(said["path"]), str(said["kind"]), sides, str(said["left"]), bool(said["marked"]))


def _upstream(pipeline: Pipeline, stage: Stage) -> list[Stage]:
    return [pipeline.stage(name) for name in pipeline.upstream(stage.id)]


def _is_offered(gate: Gate) -> bool:
    alone = gate.held_out or gate.secrets or gate.exclusive
    return gate.gate_class is GateClass.HARD and find(gate.kind).for_agents and not alone

"""The port of gates: the request, and the judgement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from interlock.core.conflicts import Undecided
from interlock.core.events import Evidence, Finding, Usage, VerdictGiven, VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Gate, Pipeline, Stage
from interlock.ports.time import Cancel


@dataclass(frozen=True, slots=True)
class GateRequest:
    """The question to a gate: is `commit` good, compared with the accepted input `input_commit`?

    `baseline` is the gate's own report on the accepted input. `decided_on_input` says that the gate could decide
    there; then a timeout or a missing report is a failure of the candidate.
    """

    run: str
    subject: AttemptId
    stage: Stage
    gate: Gate
    pipeline: Pipeline
    commit: str
    tree: str
    input_commit: str
    input_tree: str
    base_commit: str
    values: Mapping[str, str]  # TASK, INPUT_*, ARTIFACT_*: the variables of `run`
    baseline: bytes | None = None
    on_base: bytes | None = None  # its report on the base, if only tests that failed there may still fail
    decided_on_input: bool = False
    conflicts: tuple[str, ...] = ()
    undecided: tuple[Undecided, ...] = ()  # conflicts without markers: the candidate must name the side that holds
    sandbox: str = "none"
    number: int = 1  # of the try
    alone: Callable[[], AbstractContextManager[object]] = field(default=nullcontext, compare=False)  # as `World.alone`
    hard_verdicts: tuple[VerdictGiven, ...] = ()  # of the hard gates; for reviews, and for traces in proofs
    former: VerdictGiven | None = None  # for a review: its own verdict on the candidate that was rejected last


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict before it is recorded. The finding of an errored one says how to correct the problem."""

    status: VerdictStatus
    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    digest: str = ""
    cached: bool = False
    flaky: bool = False
    permanent: bool = False
    usage: Usage = Usage()  # of reviewers
    retry_at: float = 0.0  # when a quota resets
    quota: bool = False  # errored because of a quota and for no other reason


class Gates(Protocol):
    def evaluate(self, case: GateRequest, cancel: Cancel) -> Judgement:
        """Judge. Raises InfrastructureError if the machine fails, and nothing for what a candidate does."""

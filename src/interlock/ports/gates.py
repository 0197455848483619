"""Who judges, what is asked, and what is said."""

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
    """What a gate is asked: `commit` is judged against the accepted input `input_commit`.

    `baseline` is the gate's own report on the accepted input; `decided_on_input` says that it could
    decide there, which makes a timeout or a missing report a failure of the candidate.
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
    values: Mapping[str, str]  # TASK, INPUT_*, ARTIFACT_*: what `run` may see
    baseline: bytes | None = None
    on_base: bytes | None = None  # its report on the base, where only what failed there may go on failing
    decided_on_input: bool = False
    conflicts: tuple[str, ...] = ()
    undecided: tuple[Undecided, ...] = ()  # conflicts that no marker shows: the candidate must name what holds
    sandbox: str = "none"
    number: int = 1  # of the try
    alone: Callable[[], AbstractContextManager[object]] = field(default=nullcontext, compare=False)  # as World's
    hard_verdicts: tuple[VerdictGiven, ...] = ()  # for a review, and for traces in proofs: of the hard gates
    former: VerdictGiven | None = None  # for a review: its own, on the candidate that was rejected last


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict before it is recorded. An errored one says in its finding what would mend it."""

    status: VerdictStatus
    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    digest: str = ""
    cached: bool = False
    flaky: bool = False
    permanent: bool = False
    usage: Usage = Usage()  # of reviewers
    retry_at: float = 0.0  # when a quota resets
    quota: bool = False  # errored, for nothing but a quota


class Gates(Protocol):
    def evaluate(self, case: GateRequest, cancel: Cancel) -> Judgement:
        """Judge. Never raises for what a candidate does; raises InfrastructureError for the machine."""

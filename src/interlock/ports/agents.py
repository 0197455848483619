"""The port of agents: what an agent gets, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from interlock.conventions.secret_forms import handed_out
from interlock.core.effects import Remaining
from interlock.core.events import Usage
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec, Pipeline, Scope
from interlock.ports.time import Cancel
from interlock.ports.workspaces import Checkout


class Ended(StrEnum):
    COMPLETED = "completed"
    REFUSED = "refused"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"
    RATE_LIMITED = "rate_limited"
    OUT_OF_BUDGET = "out_of_budget"
    UNAVAILABLE = "unavailable"  # program not found, endpoint down
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Brief:
    """What an agent gets. `text` is the rendered prompt, with artifacts and feedback."""

    run: str
    attempt: AttemptId
    text: str
    task: str
    model: str
    env: Mapping[str, str]  # the complete environment of the agent
    timeout_s: int
    idle_timeout_s: int
    dir: str = ""  # where to work, relative to the checkout
    session: Path | None = None  # the `kept_session` of the previous attempt's outcome
    resumed: str = ""  # replaces `text` if that session can be resumed
    remaining: Remaining = Remaining()  # what remains of the limits; an agent that reports its usage is stopped there
    scope: Scope = Scope()  # the paths that may change: information only, the scope gate decides
    secrets: tuple[str, ...] = ()  # values that nothing that is stored may contain
    answer_schema: str = ""  # JSON Schema of the answer; empty if no answer is needed besides the work
    rehearsal: str = ""  # read by `interlock mcp --inside`: the gates that the agent may run on its own work


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the agent claims. `log` is a file, bounded in size, with the output of the program."""

    ended: Ended
    message: str = ""
    exit_code: int | None = None
    usage: Usage = Usage()
    model: str = ""
    session: str = ""
    log: Path | None = None
    transcript: Path | None = None
    kept_session: Path | None = None  # for the next attempt to resume
    retry_at: float = 0.0
    permanent: bool = False
    worked: bool = False  # its model answered, or only the program itself says that it did not
    sent_brief: str = ""  # the brief as it was sent
    answer: str = ""  # the full answer, if the brief asks for one: JSON, or text that contains it
    notes: tuple[str, ...] = ()  # for people, such as failures that the program recovered from


@runtime_checkable
class Lender(Protocol):
    """An agent that may pass on the user's own login."""

    def lends(self, spec: AgentSpec) -> tuple[tuple[str, str], ...]:
        """The secrets in that login: names and values."""


class Agent(Protocol):
    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        """Do the work in `checkout.tree`. When this returns, every process it started is dead."""


def secrets_of(
    pipeline: Pipeline, environ: Mapping[str, str], agents: Mapping[str, object]
) -> tuple[tuple[str, str], ...]:
    """Name and value of each secret that agents get: variables, and the secrets in a login."""
    found = [*handed_out(pipeline, environ)]
    for spec in pipeline.agents:
        agent = agents.get(spec.use)
        found += agent.lends(spec) if isinstance(agent, Lender) else ()
    return tuple(found)

"""Who does the work of an attempt, what it is given, and what it claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from interlock.core.effects import Remaining
from interlock.core.events import Usage
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec, Pipeline, Scope
from interlock.core.secret_forms import handed_out
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
    """What an agent is given. `text` is the rendered prompt with artifacts and feedback in it."""

    run: str
    attempt: AttemptId
    text: str
    task: str
    model: str
    env: Mapping[str, str]  # all that the worker may see, complete
    timeout_s: int
    idle_timeout_s: int
    dir: str = ""  # where to work, relative to the checkout
    session: Path | None = None  # of the attempt before, as that one left it in its outcome
    resumed: str = ""  # the text in place of `text`, where that session can be resumed
    remaining: Remaining = Remaining()  # of the limits: an agent that tells as it goes is ended there
    scope: Scope = Scope()  # what may be changed: a courtesy, the scope gate judges
    secrets: tuple[str, ...] = ()  # values that must not be in anything that is kept
    answer_schema: str = ""  # JSON Schema of the answer that is due, empty where the work itself is all
    rehearsal: str = ""  # what `interlock mcp --inside` reads: the gates that the agent may ask of its own work


@dataclass(frozen=True, slots=True)
class Outcome:
    """A claim. `log` is a bounded file of what the program printed."""

    ended: Ended
    message: str = ""
    exit_code: int | None = None
    usage: Usage = Usage()
    model: str = ""
    session: str = ""
    log: Path | None = None
    transcript: Path | None = None
    kept_session: Path | None = None  # to be handed to the next attempt
    retry_at: float = 0.0
    permanent: bool = False
    worked: bool = False  # its model answered, or there is no more than its own word that none did
    sent_brief: str = ""  # the brief as it was sent
    answer: str = ""  # what it answered in full, where the brief asks for one: JSON, or text that holds it
    notes: tuple[str, ...] = ()  # what a person should know, such as failures that the program got over


@runtime_checkable
class Lender(Protocol):
    """An agent that may lend the user's own login."""

    def lends(self, spec: AgentSpec) -> tuple[tuple[str, str], ...]:
        """What is secret in it: a name, and a value."""


class Agent(Protocol):
    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        """Do the work in `checkout.tree`. When this returns, every process it started is dead."""


def secrets_of(
    pipeline: Pipeline, environ: Mapping[str, str], agents: Mapping[str, object]
) -> tuple[tuple[str, str], ...]:
    """Each secret that is handed out, its name and its value: variables, and what is secret in a login."""
    found = [*handed_out(pipeline, environ)]
    for spec in pipeline.agents:
        agent = agents.get(spec.use)
        found += agent.lends(spec) if isinstance(agent, Lender) else ()
    return tuple(found)

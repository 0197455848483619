"""What performing needs to know of a run, apart from the effect itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from interlock.core.events import RunStarted
from interlock.core.ids import AttemptId
from interlock.core.limits import WAIT_MAX_S
from interlock.core.pipeline import Pipeline
from interlock.core.state import QUOTA_WAIT_MAX_S
from interlock.ports import CheckoutSpec, sandbox_of


@dataclass(frozen=True, slots=True)
class Context:
    """`environ` is the owner's environment, of which stages get what they name. `backoff_s` is the first wait."""

    run: str
    pipeline: Pipeline
    started: RunStarted
    started_at: float
    environ: Mapping[str, str] = field(default_factory=dict)
    backoff_s: float = 1.0
    sandbox: str = ""  # the level, if it is another one than the run was started with

    @property
    def checkout_spec(self) -> CheckoutSpec:
        spec = CheckoutSpec(self.pipeline.setup, self.pipeline.carry, base=self.started.base_commit)
        return replace(spec, sandbox=sandbox_of(self.pipeline, self.level))

    @property
    def level(self) -> str:
        """The level of the sandbox that is in force."""
        return self.sandbox or self.started.sandbox

    def ref(self, attempt: AttemptId) -> str:
        """The ref that keeps a candidate's objects alive. It is created once and decides nothing."""
        return f"refs/interlock/{self.run}/{attempt.stage}/{attempt.epoch}.{attempt.number}"

    def retry_at(self, now: float, tries: int, named: float = 0.0, *, quota: bool = False) -> float:
        """When to try again after `tries` failures: at the time that somebody `named`, if that is to come, and within a
        day; else after 1, 4, 16... times the backoff, a minute at most; for a quota after 16, 64... times, and half an
        hour at most."""
        if named > now:
            return min(named, now + WAIT_MAX_S)
        if quota:
            return now + min(QUOTA_WAIT_MAX_S, self.backoff_s * float(4 ** min(tries + 2, 6)))
        return now + min(60.0, self.backoff_s * float(4 ** min(tries, 6)))

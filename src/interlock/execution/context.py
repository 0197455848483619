"""What performing needs to know of a run, apart from the effect itself; and how another machine is told it.

Rule: what a machine is given of a run is small and names the rest by digest. Its environment is its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from interlock.core.events import RunStarted
from interlock.core.ids import AttemptId
from interlock.core.limits import WAIT_MAX_S, tried_again_at
from interlock.core.pipeline import Pipeline
from interlock.core.state import QUOTA_WAIT_MAX_S
from interlock.core.wire import encode_event
from interlock.journal import codec
from interlock.pipelinefile import decode_pipeline, encode_pipeline
from interlock.ports import Blobs, CheckoutSpec, InfrastructureError, World, sandbox_of


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
        spec = CheckoutSpec(
            self.pipeline.setup, self.pipeline.carry, base=self.started.base_commit, contents=self.started.contents
        )
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
        return tried_again_at(now, self.backoff_s, tries)


def require_level(world: World, context: Context) -> None:
    """Raises InfrastructureError if the level of the sandbox is not in force on this machine: another one may have
    it."""
    if why := world.lacks(context.level):
        where = world.worker or "this machine"
        raise InfrastructureError(f"sandbox {context.level} is not in force on {where}: {why}")


@dataclass(frozen=True, slots=True)
class ContextReference:
    """A context without its environment: `started` and `pipeline` are digests of blobs. `core.codec` writes it."""

    run: str
    started: str
    pipeline: str
    started_at: float
    backoff_s: float = 1.0
    sandbox: str = ""


def refer(context: Context, blobs: Blobs) -> ContextReference:
    """The reference to a context whose contents are put among the blobs. The same again puts nothing new."""
    started = blobs.put(encode_event(context.started).encode())
    pipeline = blobs.put(encode_pipeline(context.pipeline).encode())
    return ContextReference(context.run, started, pipeline, context.started_at, context.backoff_s, context.sandbox)


def context_of(reference: ContextReference, blobs: Blobs, environ: Mapping[str, str]) -> Context:
    """The context with the environment of this machine. Raises InfrastructureError if a blob is missing or of a newer
    version."""
    started = codec.decode(RunStarted.__name__, codec.VERSION, blobs.get(reference.started).decode())
    assert isinstance(started, RunStarted)
    pipeline = decode_pipeline(blobs.get(reference.pipeline).decode())
    of_run = (reference.run, pipeline, started, reference.started_at)
    return Context(*of_run, environ, reference.backoff_s, reference.sandbox)

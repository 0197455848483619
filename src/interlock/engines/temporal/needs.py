"""What an effect needs of a worker, what a worker offers, and which offers fit. Pure.

Rule: `command`, `acp` and `scripted` agents start what the pipeline brings, so they fit every worker.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from interlock.conventions.programs import ADAPTERS
from interlock.core.effects import EvaluateGate, Operation, StartAttempt
from interlock.core.judging import find_gate, in_repository
from interlock.core.pipeline import AgentSpec, Gate, Pipeline, Stage
from interlock.gates.kinds import find

ANY, _UNSET = "*", "!"  # in an offer: every secret, but those whose names follow on the second
EVERYWHERE = frozenset({"acp", "command", "scripted"})  # agents that need nothing of a machine that we know of


@dataclass(frozen=True)
class Need:
    """What an effect needs: agent kinds as `use` names them, variables with secrets, labels. `not_by` is the name of a
    worker that may not do it; empty: anyone may. Of each group of `one_of`, one secret is enough."""

    agents: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    not_by: str = ""
    one_of: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, order=True)
class Offer:
    """What a worker can do, each sorted, and the mark of its blobs: workers of the same offer share a task queue."""

    agents: tuple[str, ...] = ()
    secrets: tuple[str, ...] = (ANY,)
    labels: tuple[str, ...] = ()
    blobs: str = ""

    def queue(self, prefix: str) -> str:
        """The task queue of all workers that offer this."""
        text = json.dumps(asdict(self), sort_keys=True)
        return f"{prefix}.work.{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Seen:
    """An offer with the names of its living workers, and how many tasks wait in its queue."""

    offer: Offer
    workers: tuple[str, ...]
    backlog: int = 0


def offer_of(
    agents: Iterable[str], secrets: Iterable[str] = (ANY,), labels: Iterable[str] = (), blobs: str = ""
) -> Offer:
    """The offer of these, in any order."""
    agents, secrets, labels = (tuple(sorted(set(names))) for names in (agents, secrets, labels))
    return Offer(agents, secrets, labels, blobs)


def any_but(unset: Iterable[str]) -> tuple[str, ...]:
    """The secrets of an offer: all, but these, which are known not to be set."""
    return (ANY, *(f"{_UNSET}{name}" for name in unset))


def need_of(pipeline: Pipeline, effect: Operation, maker: str = "") -> Need | None:
    """What the effect needs of a worker; None if a controller does it itself, or a process in the repository. `maker`
    is the worker that made the candidate."""
    if in_repository(pipeline, effect):
        return None
    if isinstance(effect, StartAttempt):
        return Need() if effect.by else _of_attempt(pipeline, effect)
    if isinstance(effect, EvaluateGate):
        return _of_gate(pipeline, *find_gate(pipeline, effect.gate), maker)
    return None


def fits(offer: Offer, need: Need) -> bool:
    """Whether workers with this offer can do what is needed."""
    return (
        set(need.agents) <= set(offer.agents)
        and all(is_set(offer, name) for name in need.secrets)
        and all(any(is_set(offer, name) for name in names) for names in need.one_of)
        and set(need.labels) <= set(offer.labels)
    )


def is_set(offer: Offer, secret: str) -> bool:
    """Whether workers with this offer say that they have the secret."""
    return secret in offer.secrets or (ANY in offer.secrets and f"{_UNSET}{secret}" not in offer.secrets)


def chosen(seen: Iterable[Seen], need: Need) -> list[Seen]:
    """Those with the shortest backlog of the offers that fit and have a worker. Of equal ones, those with the fewest
    labels and agents: what is rare is left for those who need it."""

    def rank(one: Seen) -> tuple[int, int, int]:
        return one.backlog, len(one.offer.labels), len(one.offer.agents)

    fitting = [one for one in seen if fits(one.offer, need) and set(one.workers) - {need.not_by}]
    best = min(map(rank, fitting), default=None)
    return sorted((one for one in fitting if rank(one) == best), key=lambda one: one.offer)


def unmet(need: Need) -> str:
    """What is said where no worker fits: what is missing, and the command that starts such a worker."""
    secrets = (*need.secrets, *map(" or ".join, need.one_of))
    kinds = (("agent", need.agents), ("label", need.labels), ("secret", secrets))
    wanted = ", ".join(f"{kind} {name}" for kind, names in kinds for name in names)
    given = (*need.secrets, *(names[0] for names in need.one_of))
    lists = (("--agents", need.agents), ("--labels", need.labels), ("--secrets", given))
    options = "".join(f" {option} {','.join(names)}" for option, names in lists if names)
    worker = f"a worker other than {need.not_by}" if need.not_by else "a worker"
    where = ", started with that variable set" if secrets else ""
    return f"waits for {worker}{f' with {wanted}' if wanted else ''}: interlock worker{options}{where}"


def unmet_by(seen: Sequence[Seen], pipeline: Pipeline) -> Iterator[str]:
    """What stages of the pipeline will wait for, since no worker that was seen can do it, each with these stages."""
    waiting: dict[str, list[str]] = {}
    for stage in pipeline.ordered():
        for words in dict.fromkeys(unmet(need) for need in _of_stage(pipeline, stage) if not chosen(seen, need)):
            waiting.setdefault(words, []).append(stage.id)
    for words, stages in waiting.items():
        yield f"{'stage' if len(stages) == 1 else 'each of'} {', '.join(stages)} {words}"


def _of_stage(pipeline: Pipeline, stage: Stage) -> Iterator[Need]:
    """What its attempts and gates need, whoever makes the candidate."""
    if stage.has_worker:
        yield _need(pipeline, (stage.agent,) if stage.agent else (), stage.secrets, stage.labels)
    for gate in stage.gates:
        if (gate.options is None or not gate.options.in_repository) and (need := _of_gate(pipeline, stage, gate, "")):
            yield need


def other_blobs(role: str, names: Iterable[str]) -> str:
    """What is said where only such workers or controllers are there whose blobs are not those of the run."""
    return f"waits for a {role} with these blobs: the {role} at {', '.join(names)} has others: set temporal.blobs there"


def _of_attempt(pipeline: Pipeline, effect: StartAttempt) -> Need:
    stage = pipeline.stage(effect.attempt.stage)
    agents = (effect.agent,) if effect.agent else ()
    return _need(pipeline, agents, stage.secrets, stage.labels)


def _of_gate(pipeline: Pipeline, stage: Stage, gate: Gate, maker: str) -> Need | None:
    if find(gate.kind).only_reads:
        return None
    agents = gate.options.agents if gate.options is not None else ()
    return _need(pipeline, agents, gate.secrets, stage.labels, maker if stage.judged_elsewhere else "")


def _need(
    pipeline: Pipeline, agents: Iterable[str], secrets: tuple[str, ...], labels: tuple[str, ...], not_by: str = ""
) -> Need:
    specs = [pipeline.agent(name) for name in agents]
    kinds = {spec.use for spec in specs} - EVERYWHERE
    groups = {group for spec in specs for group in _keys(spec)}
    named = {*secrets, *(group[0] for group in groups if len(group) == 1)}
    one_of = sorted(group for group in groups if len(group) > 1 and not named.intersection(group))
    return Need(tuple(sorted(kinds)), tuple(sorted(named)), tuple(sorted(labels)), not_by, tuple(one_of))


def _keys(spec: AgentSpec) -> Iterator[tuple[str, ...]]:
    """Groups of secrets, of each of which the agent needs one: as it is checked before its program starts."""
    if not ADAPTERS[spec.use].driven:
        yield from ((name,) for name in spec.secrets)
    elif spec.secrets and dict(spec.options).get("login") != "true":
        yield spec.secrets

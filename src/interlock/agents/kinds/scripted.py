"""The scripted agent as an adapter: reads its options, draws how to behave, and runs the worker.

Options: `script` (a path or the script itself), `seed`, `rate` of failure from 0 to 1, `kinds` of failure (by
default all that the script has work for), `hang_s` (the silence after which it is ended, in place of the stage's
idle timeout), `pace_s` (the pause after each line that it prints).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from interlock.agents.program import run_program
from interlock.agents.scripted import worker
from interlock.agents.scripted.behaviour import FAULTS, Behaviour, draw, spread
from interlock.agents.scripted.script import BadScript, Edit, Part, behaviour, load_script
from interlock.core.pipeline import AgentSpec
from interlock.ports import Agent, Brief, Cancel, Checkout, Ended, Outcome

_CLAIM = "Done: the change is made and all tests pass."
_NAMES = ("script", "seed", "rate", "kinds", "hang_s", "pace_s")


@dataclass(frozen=True, slots=True)
class _Options:
    script: object
    seed: int = 0
    rate: float = 0.2
    kinds: tuple[Behaviour, ...] = FAULTS
    hang_s: float | None = None
    pace_s: float = 0.0


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    return Scripted(folder)


class Scripted:
    """Implements ports.Agent. Its outcome's `session` tells how it was told to behave."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        try:
            options = _options(spec)
            parts = load_script(options.script, self._folder)
            if brief.attempt.stage not in parts:
                raise BadScript(f"stages: nothing for the stage {brief.attempt.stage!r}")
        except BadScript as error:
            return Outcome(Ended.UNAVAILABLE, f"agent {spec.name}: {error}", permanent=True)
        return _worked(options, parts[brief.attempt.stage], brief, checkout, cancel)


def _worked(options: _Options, part: Part, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
    behaves = _behaviour(options, part, brief)
    plan = checkout.root / "scripted.json"
    plan.write_text(json.dumps(_plan(options, part, brief, behaves)), encoding="utf-8")
    argv = (sys.executable, "-I", "-S", str(worker.__file__), str(plan))
    outcome = run_program(argv, brief, checkout, cancel, idle_timeout_s=options.hang_s)
    return replace(outcome, model=brief.model or "scripted", session=f"scripted:{behaves}")


def _behaviour(options: _Options, part: Part, brief: Brief) -> Behaviour:
    if part.sequence:
        return part.sequence[min(brief.attempt.number, len(part.sequence)) - 1]
    able = {Behaviour.WRONG_FIX: part.wrong, Behaviour.EDITED_TEST: part.tamper}
    faults = [kind for kind in options.kinds if able.get(kind, True)]
    return draw(options.seed, str(brief.attempt), options.rate, faults)


def _plan(options: _Options, part: Part, brief: Brief, behaves: Behaviour) -> dict[str, object]:
    ways = {Behaviour.WRONG_FIX: part.wrong, Behaviour.EDITED_TEST: part.tamper}.get(behaves, (part.right,))
    factor = spread(options.seed, str(brief.attempt))
    usage = {name: value * factor for name, value in part.usage.items()}
    return {
        "behaviour": behaves,
        "edits": [asdict(edit) for edit in _way(options.seed, ways, brief)],
        "usage": {name: value if name == "cost_usd" else int(value) for name, value in usage.items()},
        "say": part.say or _CLAIM,
        "seed": options.seed,
        "pace_s": options.pace_s,
    }


def _way(seed: int, ways: Sequence[tuple[Edit, ...]], brief: Brief) -> tuple[Edit, ...]:
    """Begins anywhere, then takes turns: no agent errs in the same way twice in a row, if it has the choice."""
    first = int(spread(seed, brief.attempt.stage) * 1_000)
    return ways[(first + brief.attempt.number) % len(ways)] if ways else ()


def _options(spec: AgentSpec) -> _Options:
    """Raises BadScript."""
    told: dict[str, object] = {}
    for name, text in spec.options:
        if name not in _NAMES:
            raise BadScript(f"option {name!r} is none of {', '.join(_NAMES)}")
        told[name] = json.loads(text)
    if "script" not in told:
        raise BadScript("option `script` is missing: a path, or the script itself")
    kinds = told.get("kinds", list(FAULTS))
    if not isinstance(kinds, list):
        raise BadScript("option `kinds` must be a list")
    rate = _number(told, "rate", 0.2)
    if not 0 <= rate <= 1:
        raise BadScript("option `rate` must be between 0 and 1")
    return _Options(
        told["script"],
        int(_number(told, "seed", 0)),
        rate,
        tuple(behaviour(kind, "option kinds") for kind in kinds),
        _number(told, "hang_s", 0) if "hang_s" in told else None,
        _number(told, "pace_s", 0),
    )


def _number(told: Mapping[str, object], name: str, default: float) -> float:
    value = told.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadScript(f"option `{name}` must be a number")
    return value

"""The random scenarios hold everything that the promises must survive."""

from __future__ import annotations

from collections import Counter

from tests.simulation.chance import Scenario
from tests.simulation.simulate import Simulation

from interlock.core.events import (
    Action,
    AnswerTaken,
    Delivered,
    EffectErrored,
    InputPrepared,
    Paused,
    PauseReason,
    Recorded,
    Refused,
    SentBack,
    StageSkipped,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.pipeline import Pipeline

SEEDS = range(50_000, 50_400)


def test_every_kind_of_scenario_is_there() -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        simulation = Simulation(Scenario(seed))
        result = simulation.run()
        assert result.violation is None
        seen.update(_shapes(simulation.pipeline))
        seen.update(kind for record in result.history for kind in _kinds(record))
        seen.update({"a second owner": int(result.owners > 1), "reports of the dead": len(simulation.lost_facts)})
    wanted = {
        *("a diamond", "a join", "no worker", "a conflict", "sent back by a rule", "sent back by a person", "skipped"),
        *("delivered under another name", "refused: not a valid branch name"),
        *("an errored gate", "an errored effect", "a late report", "a second owner", "reports of the dead"),
        *(f"paused: {reason}" for reason in PauseReason),
        *(f"answered: {action}" for action in Action),
    }
    assert sorted(kind for kind in wanted if not seen[kind]) == []


def _shapes(pipeline: Pipeline) -> list[str]:
    found = []
    for stage in pipeline.stages:
        lines = [{need, *pipeline.upstream(need)} for need in stage.needs]
        found += ["a join"] * (len(lines) > 1)
        found += ["a diamond"] * (len(lines) > 1 and bool(lines[0] & lines[1]))
        found += ["no worker"] * (not stage.has_worker)
    return found


def _kinds(record: Recorded) -> list[str]:
    match record.event:
        case InputPrepared(conflicts=conflicts) if conflicts:
            return ["a conflict"]
        case SentBack(rule=rule):
            return ["sent back by a rule" if rule >= 0 else "sent back by a person"]
        case StageSkipped():
            return ["skipped"]
        case VerdictGiven(status=VerdictStatus.ERRORED):
            return ["an errored gate"]
        case EffectErrored():
            return ["an errored effect"]
        case Refused(why=why):
            return ["a late report", *["refused: not a valid branch name"] * ("not a valid branch name" in why)]
        case Delivered(branch="elsewhere" | "another"):
            return ["delivered under another name"]
        case Paused(reason=reason):
            return [f"paused: {reason}"]
        case AnswerTaken(action=action):
            return [f"answered: {action}"]
        case _:
            return []

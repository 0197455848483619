"""The transition table is complete, and nothing else sets a phase."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import interlock.core
from interlock.core.events import Action, AnswerTaken, InputPrepared, Paused, PauseReason, SentBack
from interlock.core.ids import AttemptId
from interlock.core.state import TRANSITIONS, DependentPhase, Phase, StageState, moved, pictured

SHOWN = ("history", "views")  # they copy phases into what surfaces show
CORE = Path(interlock.core.__file__).parent
INPUT = InputPrepared(AttemptId("code", 1, 0), "c0", "t0", ("c0",))


def test_one_function_sets_the_phase_of_a_stage() -> None:
    setters = {
        f"{path.stem}.{function.name}"
        for path in sorted(CORE.rglob("*.py"))
        if path.stem not in SHOWN
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef) and _sets_a_phase(function)
    }
    assert setters == {"state.moved"}


@pytest.mark.parametrize("phase", Phase)
def test_a_stage_can_be_sent_back_from_every_phase(phase: Phase) -> None:
    assert TRANSITIONS[phase, SentBack] is Phase.WAITING


@pytest.mark.parametrize("phase", [phase for phase, trigger in TRANSITIONS if trigger is Paused])
@pytest.mark.parametrize("action", [Action.CONTINUE, Action.RAISE])
def test_a_pause_that_is_lifted_ends_in_the_phase_it_began_in(phase: Phase, action: Action) -> None:
    paused = StageState(phase=Phase.PAUSED, paused_from=phase, pause=Paused("code", PauseReason.LIMIT, "why"))
    assert moved(paused, AnswerTaken("a1", action, "ann"), paused).phase is phase


@pytest.mark.parametrize(
    "phase", [phase for (phase, _), target in TRANSITIONS.items() if target is DependentPhase.START]
)
def test_a_retry_starts_where_the_input_allows_it(phase: Phase) -> None:
    retry = AnswerTaken("a1", Action.RETRY, "ann", stage="code")
    with_input, without = StageState(phase=phase, input=INPUT), StageState(phase=phase)
    assert moved(with_input, retry, with_input).phase is Phase.READY
    assert moved(without, retry, without).phase is Phase.WAITING


def test_the_picture_has_every_row() -> None:
    picture = "\n".join(pictured())
    for phase, trigger in TRANSITIONS:
        name = f"AnswerTaken({trigger})" if isinstance(trigger, Action) else trigger.__name__
        assert any(line.startswith(f"    {phase} --> ") and line.endswith(f": {name}") for line in picture.split("\n"))
    assert "paused --> rejected: AnswerTaken(continue)" in picture
    assert "paused --> ready: AnswerTaken(retry)" in picture
    assert "paused --> paused: AnswerTaken(continue)" not in picture


def _sets_a_phase(function: ast.FunctionDef) -> bool:
    calls = (call for call in ast.walk(function) if isinstance(call, ast.Call))
    return any(keyword.arg == "phase" for call in calls for keyword in call.keywords)

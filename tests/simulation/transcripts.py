"""A simulated run as a text that people can compare: each event, what is wanted after it, and where the run stands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from interlock.core.events import Recorded
from interlock.core.pipeline import Pipeline
from interlock.core.plan import plan
from interlock.core.wire import encode_effect, encode_event, kind_of
from interlock.readmodel.history import History
from interlock.readmodel.run import RunView, attempt_word, describe, locate, stage_word


def transcript(pipeline: Pipeline, records: list[Recorded]) -> str:
    """The run event by event, then its view in full, once as somebody drives it and once as nobody does."""
    return "\n".join((*_events(pipeline, records), *_view(pipeline, records), ""))


def _events(pipeline: Pipeline, records: list[Recorded]) -> Iterator[str]:
    history, wanted, stood = History(), dict[str, None](), ""
    for record in records:
        history.gather([record])
        yield f"{record.seq} {record.at} {kind_of(record.event)} {encode_event(record.event)}"
        now = dict.fromkeys(encode_effect(effect) for effect in plan(pipeline, history.state))
        yield from (f"  no more {_short(effect)}" for effect in wanted if effect not in now)
        yield from (f"  wants {effect}" for effect in now if effect not in wanted)
        wanted = now
        standing = _standing(pipeline, history)
        if standing != stood:
            yield f"  {standing}"
        stood = standing


def _standing(pipeline: Pipeline, history: History) -> str:
    """What changes seldom, and each stage in a word."""
    driven, left = locate(pipeline, history.state, "owner"), locate(pipeline, history.state)
    stages = " ".join(f"{name}={stage.phase}" for name, stage in history.state.stages.items())
    waits = [asdict(wait) for wait in driven.waits]
    why = f" {driven.why} until {driven.sleeps_until}, since {driven.sleeps_since}" if driven.why else ""
    return f"{driven.phase}/{left.phase}{why} {stages}{' ' + json.dumps(waits) if waits else ''}"


def _view(pipeline: Pipeline, records: list[Recorded]) -> Iterator[str]:
    for count, owner in ((len(records), ""), (len(records) * 2 // 3, "owner"), (len(records) // 3, "")):
        history = History()
        history.gather(records[:count])
        view = describe(pipeline, history, owner)
        yield f"\n--- after event {count}, {'driven' if owner else 'not driven'}"
        for name, value in asdict(view).items():
            parts = value if isinstance(value, tuple) and name in ("stages", "base_verdicts") else (value,)
            yield from (f"{name}: {json.dumps(part, default=str)}" for part in parts)
        yield from _words(view)


def _words(view: RunView) -> Iterator[str]:
    for stage in view.stages:
        attempts = ", ".join(f"{attempt.id} {attempt_word(attempt, view.phase)}" for attempt in stage.attempts)
        yield f"{stage.id} {stage_word(stage, view.phase)}: {attempts}"


def _short(effect: str) -> str:
    kind, fields = json.loads(effect)
    return f"{kind} {' '.join(str(field) for field in fields[:2])}"

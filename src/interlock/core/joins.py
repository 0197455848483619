"""What a join was made from, and its conflicts in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from interlock.core.conflicts import SideChange, Undecided
from interlock.core.events import InputPrepared
from interlock.core.pipeline import Stage
from interlock.core.state import Phase, RunState

DECISIONS = "conflicts.json"  # among the artifacts of the joining stage
DELETED = "deleted"
EDITED = "edited"
_SHOWN_MAX = 10
_GONE = (SideChange.DELETED, SideChange.FOLDER)


def merged_from(state: RunState, stage: Stage) -> Mapping[str, str]:
    """The commits that the stage builds on, in written order, each with the stage that it is of: the one that made
    it, where another one was skipped and only passed it on."""
    found: dict[str, str] = {}
    for name in stage.needs:
        need = state.stages[name]
        if need.output is None:
            continue
        commit = need.output[0]
        if commit not in found or (need.phase is Phase.ACCEPTED and state.stages[found[commit]].phase is Phase.SKIPPED):
            found[commit] = name
    return found


def sides_of(prepared: InputPrepared) -> tuple[tuple[str, str], ...]:
    """Stage and commit of all that was merged, where somebody has conflicts to mend."""
    return tuple(zip(prepared.names, prepared.sources, strict=False)) if prepared.conflicts else ()


def conflict_text(prepared: InputPrepared) -> str:
    """The conflicts in a line, each that has no markers with its kind and what the sides did."""
    by_path = {item.path: item for item in prepared.undecided}
    paths = prepared.conflicts
    said = [f"{path} ({described(by_path[path])})" if path in by_path else path for path in paths[:_SHOWN_MAX]]
    more = f" and {len(paths) - _SHOWN_MAX} more" if len(paths) > _SHOWN_MAX else ""
    return f"conflict in {', '.join(said)}{more}"


def described(undecided: Undecided) -> str:
    """Kind, and what each side did: `modify/delete: a deleted it, b changed it`."""
    did = ", ".join(f"{side.stage} {side.did} it" for side in undecided.sides)
    return f"{undecided.kind}: {did}" if did else undecided.kind


def choices(undecided: Undecided) -> tuple[str, ...]:
    """What may be written as the decision. A side that has no file there is meant by `deleted` too."""
    gone = any(side.did in _GONE for side in undecided.sides)
    names = tuple(side.stage for side in undecided.sides)
    return tuple(dict.fromkeys((*names, *((DELETED,) if gone else ()), EDITED)))

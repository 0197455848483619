"""Gates that run files of the repository. Rule: what a gate runs is protected, unless a stage is there to write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.core.globs import matches_any
from interlock.spec.protected import run_by

if TYPE_CHECKING:
    from interlock.core.pipeline import Scope
    from interlock.spec.checks.view import View


def check(view: View) -> None:
    for stage, gate, part, at in view.gates():
        if part.run is None or not stage.has_worker:
            continue
        for path in run_by(gate, view.draft.sources.root):
            if _may_write(stage.scope, path):
                hint = f"take {path} out of what {stage.id} may write, or let another stage author it"
                view.warn((*at, "run"), f"{stage.id} may change {path}, which judges it", hint)


def _may_write(scope: Scope, path: str) -> bool:
    return matches_any(scope.authors, path) or path in (glob.strip("/") for glob in scope.writes or ())

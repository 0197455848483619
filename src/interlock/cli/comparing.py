"""What `check` compares: the base, and what would be there if the proposal were merged into it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from interlock.cli.terminal import note

if TYPE_CHECKING:
    from interlock.bootstrap import Application
    from interlock.workspaces import Base


@dataclass(frozen=True, slots=True)
class Compared:
    """`judged` is `proposed`, or its merge with the base; `conflicts` are the paths that keep it from being merged."""

    base: Base
    proposed: Base
    judged: Base
    conflicts: tuple[str, ...] = ()


def compare(app: Application, base: str, commit: str, *, inside: bool) -> Compared:
    """All of it in the store. Only a named base is merged; an attempt always stands on its input. Raises UsageError."""
    onto = app.workspaces.import_base(base or "HEAD")
    proposed = app.workspaces.import_base(commit) if commit else app.workspaces.import_base(worktree=True)
    if not base or inside:
        return Compared(onto, proposed, proposed)
    merged = app.workspaces.merge_proposal(onto, proposed)
    if merged.commit == proposed.commit:
        return Compared(onto, proposed, proposed)
    if not merged.conflicts:
        note(_merged(onto, proposed))
    return Compared(onto, proposed, replace(proposed, commit=merged.commit, tree=merged.tree), merged.conflicts)


def _merged(onto: Base, proposed: Base) -> str:
    from interlock.cli.words import safe

    return f"{safe(proposed.ref)} is behind {safe(onto.ref)}: their merge is judged, as it would be there"

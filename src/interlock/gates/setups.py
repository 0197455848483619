"""What a candidate may not put where setup leaves its own: interpreters and tools never come from the tree.

Rule: letter case is no way around. Taking such a file out of the tree is allowed, for it is never used.
"""

from __future__ import annotations

from collections.abc import Sequence

from interlock.core.pipeline import Setup
from interlock.ports import Change


def complaint(setups: Sequence[Setup], change: Change) -> tuple[str, str] | None:
    """The rule that the change breaks and what would be right, or None."""
    if change.status == "D":
        return None
    changed = f"{change.path.casefold()}/"
    for path in (path for setup in setups for path in setup.paths):
        own = f"{path.strip('/').casefold()}/"
        if changed.startswith(own) or own.startswith(changed):
            return "setup_path", f"but setup makes {path}, and replaces what is there: take it out of the tree"
    return None

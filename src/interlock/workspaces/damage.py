"""Objects of the store that cannot be read, out of the way of those that are brought again.

Rule: nothing is thrown away but empty files. A pack that git cannot verify gets another name, for who looks into it.
"""

from __future__ import annotations

from pathlib import Path

from interlock.ports import disk
from interlock.workspaces.git import Git


def set_aside_damaged(git: Git, store: Path) -> None:
    """Without this, git takes a damaged pack for the one that it is about to write. Raises OSError."""
    packs = store / "objects/pack"
    for pack in packs.glob("*.pack"):
        index = pack.with_suffix(".idx")
        if index.exists() and git.call("verify-pack", str(index), codes=range(256)).code:
            for path in (index, pack.with_suffix(".rev"), pack):
                if path.exists():
                    path.rename(path.with_name(f"{path.name}.damaged"))
    for path in (store / "objects").glob("??/*"):
        if path.stat().st_size == 0:
            path.unlink()
    disk.sync_files([packs])

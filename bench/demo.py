"""(f) The demo as a stranger has it: from `git clone` to the accepted branch, with the packages in a cache.

Nothing is asserted of it: the time is that of the disk, of the package index and of pip.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def measure() -> dict[str, float]:
    """Seconds. The first set-up fills the cache and is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        _done(Path(folder) / "first", "./scripts/bootstrap", "demo")
        began = time.monotonic()
        place = _done(Path(folder) / "second", "./scripts/bootstrap", "demo")
        set_up = time.monotonic()
        said = _run(place, "./scripts/demo", f"--folder={folder}/shown")
        ended = time.monotonic()
        accepted = re.search(r"^\S* *run +accepted$", said, re.MULTILINE)
        return {
            "set_up_s": set_up - began,
            "demo_s": ended - set_up,
            "clone_to_branch_s": ended - began,
            "accepted": float(accepted is not None),
            "clone_to_branch_goal_s": 30,
        }


def _done(place: Path, *words: str) -> Path:
    subprocess.run(["git", "clone", "--quiet", str(_ROOT), str(place)], check=True)
    _run(place, *words)
    return place


def _run(place: Path, *words: str) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(words, cwd=place, env=environ, check=True, capture_output=True, text=True)
    return done.stdout + done.stderr

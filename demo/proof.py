"""The tests of a branch, run without Interlock: in a fresh clone, by pytest alone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from demo.scene import Scene, environment, git

_CALL = "import humanize; print(repr(humanize.naturalsize(999999)))"


@dataclass(frozen=True, slots=True)
class Proof:
    """`says` is what naturalsize(999999) returns there."""

    says: str
    passed: int
    failed: int
    held_out_passed: int
    held_out_failed: int

    @property
    def holds(self) -> bool:
        return not self.failed and not self.held_out_failed and self.passed > 0 and self.held_out_passed > 0


def prove(scene: Scene, branch: str) -> Proof:
    """Clone `branch`, run its tests and the held-out ones, and throw the clone away."""
    clone = scene.root / "proof"
    git(scene, "clone", "--quiet", "--branch", branch, str(scene.repository), str(clone))
    try:
        says = _python(scene, clone, "-c", _CALL).strip()
        return Proof(says, *_tests(scene, clone, "tests"), *_tests(scene, clone, str(scene.held_out)))
    finally:
        shutil.rmtree(clone, ignore_errors=True)


def _tests(scene: Scene, clone: Path, folder: str) -> tuple[int, int]:
    """How many passed, and how many did not."""
    said = _python(scene, clone, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "--tb=no", folder)
    return _count(said, "passed"), _count(said, "failed") + _count(said, "errors?")


def _count(said: str, what: str) -> int:
    found = re.search(rf"(\d+) {what}\b", said)
    return int(found.group(1)) if found else 0


def _python(scene: Scene, clone: Path, *words: str) -> str:
    env = environment(scene) | {"PYTHONPATH": str(clone / "src")}
    done = subprocess.run([sys.executable, *words], cwd=clone, env=env, capture_output=True, text=True)
    return done.stdout

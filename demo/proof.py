"""The tests of a branch, run without Interlock: in a fresh clone, by pytest alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from demo.scene import Scene, environment, git

_CALL = "import humanize; print(repr(humanize.naturalsize(999999)))"


@dataclass(frozen=True, slots=True)
class Proof:
    """`says` is what naturalsize(999999) returns there; tests are counted, held-out ones apart."""

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
        seen = _tests(scene, clone)
    finally:
        shutil.rmtree(clone, ignore_errors=True)
    return Proof(says, seen[False, True], seen[False, False], seen[True, True], seen[True, False])


def _tests(scene: Scene, clone: Path) -> Counter[tuple[bool, bool]]:
    """How many tests there are by (held out, passed)."""
    report = clone / "report.xml"
    options = ("-q", "-p", "no:cacheprovider", "-o", "addopts=", f"--junitxml={report}")
    _python(scene, clone, "-m", "pytest", *options, "tests", str(scene.held_out))
    cases = ElementTree.parse(report).iter("testcase") if report.is_file() else ()
    return Counter(("held_out" in case.get("classname", ""), len(case) == 0) for case in cases)


def _python(scene: Scene, clone: Path, *words: str) -> str:
    env = environment(scene) | {"PYTHONPATH": str(clone / "src")}
    done = subprocess.run([sys.executable, *words], cwd=clone, env=env, capture_output=True, text=True)
    return done.stdout

"""(c) Process time of `--version` and of the verbs that only look, beside a bare Python."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.shell import PIPELINE, environment, repository, timed

REPEATS = 9


def measure() -> dict[str, float]:
    """Seconds of user and system time, the median of a few."""
    with tempfile.TemporaryDirectory() as folder:
        environ = environment(Path(folder))
        place = repository(Path(folder) / "repo", environ, PIPELINE, files=20)
        timed(["run", "-t", "nothing"], place, environ)
        return {
            "python_s": _median([sys.executable, "-c", "pass"], place, environ),
            "version_s": _median([sys.executable, "-m", "interlock", "--version"], place, environ),
            "version_goal_s": 0.060,
            "list_s": _median([sys.executable, "-m", "interlock", "list"], place, environ),
            "status_s": _median([sys.executable, "-m", "interlock", "status"], place, environ),
            "show_s": _median([sys.executable, "-m", "interlock", "show", "--json"], place, environ),
            "looking_goal_s": 0.200,
        }


def _median(argv: list[str], cwd: Path, environ: dict[str, str]) -> float:
    return sorted(_process_time(argv, cwd, environ) for _ in range(REPEATS))[REPEATS // 2]


def _process_time(argv: list[str], cwd: Path, environ: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, cwd=cwd, env=environ, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

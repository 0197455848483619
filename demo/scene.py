"""The scene: a folder with a git repository of the project, the pipeline, the script, and a state of its own.

Rule: nothing of the user's is read or written, not even the configuration of git.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlock.sandbox import best_level

_HERE = Path(__file__).resolve().parent
_HANG_S = 1  # silence after which the scripted agent counts as hanging
_IDENTITY = {"user.name": "Interlock demo", "user.email": "demo@example.invalid", "commit.gpgsign": "false"}
_DATE = "2026-01-01T00:00:00+00:00"


@dataclass(frozen=True, slots=True)
class Scene:
    """`root` holds all of it; `interlock` is a launcher that finds the demo's own state."""

    root: Path

    @property
    def repository(self) -> Path:
        return self.root / "humanize"

    @property
    def held_out(self) -> Path:
        return self.root / "held_out"

    @property
    def launcher(self) -> Path:
        return self.root / "interlock"


def set_scene(root: Path, seed: int, rate: float, pace_s: float) -> Scene:
    """Everything that the demo needs, in `root`, an empty folder."""
    scene = Scene(root)
    shutil.copytree(_HERE / "humanize", scene.repository, ignore=_leftovers)
    shutil.copytree(_HERE / "pipeline", scene.repository, dirs_exist_ok=True, ignore=_leftovers)
    shutil.copytree(_HERE / "held_out", scene.held_out, ignore=_leftovers)
    shutil.copytree(_HERE / "script", root / "script", ignore=_leftovers)
    for folder, _, names in os.walk(root):  # the clone may be read-only
        for name in ("", *names):
            path = Path(folder, name)
            path.chmod(path.stat().st_mode | 0o200)
    (scene.repository / "agents.yaml").write_text(_agents(seed, rate, pace_s), encoding="utf-8")
    settings = root / "config" / "interlock" / "settings.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"held_out: {{rounding: {json.dumps(str(scene.held_out))}}}\n", encoding="utf-8")
    _write_launcher(scene)
    _commit(scene)
    return scene


def environment(scene: Scene) -> dict[str, str]:
    """The caller's, with the demo's tools first and nothing of git's or Interlock's."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "INTERLOCK_", "PYTHON"))}
    return env | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', os.defpath)}",
        "XDG_STATE_HOME": str(scene.root / "state"),
        "XDG_CONFIG_HOME": str(scene.root / "config"),
        "XDG_CACHE_HOME": str(scene.root / "cache"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "INTERLOCK_BACKOFF_S": "0.2",
        "INTERLOCK_SANDBOX": os.environ.get("INTERLOCK_SANDBOX") or best_level(os.environ),  # where none holds: none
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # half of the time that pytest takes
    }


def git(scene: Scene, *words: str) -> str:
    """What git says in the project's repository. Raises CalledProcessError."""
    env = environment(scene) | {"GIT_AUTHOR_DATE": _DATE, "GIT_COMMITTER_DATE": _DATE}
    done = subprocess.run(["git", *words], cwd=scene.repository, env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def interlock(scene: Scene, *words: str) -> int:
    """Run Interlock before everybody's eyes. Returns its exit code."""
    argv = [sys.executable, "-m", "interlock", *words]
    sys.stdout.flush()
    child = subprocess.Popen(argv, cwd=scene.repository, env=environment(scene), stdin=subprocess.DEVNULL)
    try:
        return child.wait()
    except KeyboardInterrupt:  # the child got it as well, and ends its run in order
        child.wait()
        raise


def show(scene: Scene) -> dict[str, Any] | None:
    """What `interlock show --json` says of the only run; None where there is none."""
    argv = [sys.executable, "-m", "interlock", "show", "--json"]
    done = subprocess.run(argv, cwd=scene.repository, env=environment(scene), capture_output=True)
    told: dict[str, Any] | None = json.loads(done.stdout)["run"] if done.returncode == 0 else None
    return told


def _agents(seed: int, rate: float, pace_s: float) -> str:
    return "\n".join(
        [
            "# A scripted agent in the place of a real one: it works by a script, and fails at random on purpose.",
            "version: 1",
            "agents:",
            "  coder:",
            "    use: scripted",
            "    script: ../script/agent.yaml",
            f"    seed: {seed}",
            f"    rate: {rate:g}",
            f"    hang_s: {_HANG_S}",
            f"    pace_s: {pace_s:g}",
            "",
        ]
    )


def _write_launcher(scene: Scene) -> None:
    told = environment(scene)
    names = [name for name in told if told[name] != os.environ.get(name) and not name.startswith("GIT_")]
    lines = [
        "unset INTERLOCK_STATE_HOME INTERLOCK_CACHE_HOME",
        *(f"export {name}={shlex.quote(told[name])}" for name in names),
    ]
    program = f"exec {shlex.quote(sys.executable)} -m interlock"
    text = "\n".join(["#!/bin/sh", "# Interlock, with the state of this demo.", *lines, f'{program} "$@"', ""])
    scene.launcher.write_text(text, encoding="utf-8")
    scene.launcher.chmod(0o755)


def _commit(scene: Scene) -> None:
    git(scene, "init", "--quiet", "--template=", "--initial-branch=main")
    for name, value in _IDENTITY.items():
        git(scene, "config", name, value)
    git(scene, "add", "--all", "--force")
    git(scene, "commit", "--quiet", "--message", "humanize 4.15.0, and a pipeline")


def _leftovers(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in ("__pycache__", ".pytest_cache", ".ruff_cache")}

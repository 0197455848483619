"""A user with a home, a repository and the real program, for the tests of the command line.

Rule: whatever is asked, no trace is printed, and no escape code where there is no terminal.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.contract.program import PROGRAM, forked, is_apart, needs_a_start, started

LIMIT_S = 300  # only a hang meets it
_KEPT = ("LANG", "LC_ALL", "TMPDIR")


@dataclass(frozen=True)
class Said:
    """What the program said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    def json(self) -> dict[str, Any]:
        """Stdout as one versioned document."""
        found: dict[str, Any] = json.loads(self.out)
        assert found["version"] == 1
        return found

    def lines(self) -> list[dict[str, Any]]:
        """Stdout as NDJSON, each line versioned."""
        found = [json.loads(line) for line in self.out.splitlines()]
        assert all(line["version"] == 1 for line in found)
        return found

    def ended(self, code: int, *words: str) -> Said:
        """It ended with `code`, and each of `words` was said somewhere."""
        assert self.code == code, self.text
        for word in words:
            assert word in self.text, self.text
        return self


@dataclass
class World:
    """`root` holds home, state and `repository`, which is on `main` with one commit at least."""

    root: Path
    repository: Path
    environ: dict[str, str] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        home = self.root / "home"
        home.mkdir(exist_ok=True)
        own = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "INTERLOCK_BACKOFF_S": "0.05",
            "INTERLOCK_SANDBOX": os.environ.get("INTERLOCK_SANDBOX", "none"),  # a test of the sandbox asks for it
            "PYTHONDONTWRITEBYTECODE": "1",
            **{f"GIT_{who}_NAME": "Somebody" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "somebody@example.invalid" for who in ("AUTHOR", "COMMITTER")},
        }
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {**kept, **own, **self.environ, **more}

    def ask(self, *words: str, stdin: str = "", cwd: Path | None = None, **environ: str) -> Said:
        """What the program says to `words`: forked, unless the environment has something for Python as it starts."""
        call = started if needs_a_start({**self.environ, **environ}) or is_apart() else forked
        code, out, err = call(words, cwd or self.repository, self.environment(**environ), stdin.encode(), LIMIT_S)
        said = Said(code, out.decode(), err.decode())
        assert "Traceback" not in said.text, said.text
        assert "a bug in Interlock" not in said.text, said.text
        assert "\x1b" not in said.text, said.text
        return said

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """The program at work; the caller waits for it, as for `ended`."""
        return subprocess.Popen(
            [*PROGRAM, *words], cwd=self.repository, env=self.environment(**environ), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def show(self, run: str = "") -> dict[str, Any]:
        """The run as `show --json` tells it."""
        view: dict[str, Any] = self.ask("show", *([run] if run else []), "--json").json()["run"]
        return view

    def git(self, *words: str, cwd: Path | None = None) -> str:
        argv = ["git", *words]
        done = subprocess.run(argv, cwd=cwd or self.repository, env=self.environment(), capture_output=True, check=True)
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, str], message: str = "change") -> str:
        """Writes `files`, commits all that is there, and says the commit."""
        for name, text in files.items():
            path = self.repository / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")


def new_world(root: Path, files: Mapping[str, str], **environ: str) -> World:
    world = World(root, root / "project", dict(environ))
    world.repository.mkdir(parents=True)
    world.git("init", "-q", "-b", "main")
    world.commit(files, "start")
    return world


def stage_of(view: Mapping[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(stage for stage in view["stages"] if stage["id"] == name)
    return found


def verdicts_of(attempt: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The verdicts of an attempt by gate, as STAGE/GATE."""
    return {item["verdict"]["gate"]: item["verdict"] for item in attempt["verdicts"]}

"""A user's repository, a store and places beside it, for the tests of workspaces."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from interlock.core.ids import AttemptId
from interlock.ports import Candidate, Checkout, CheckoutSpec, Stamp
from interlock.workspaces import Base, GitWorkspaces

STAMP = Stamp("interlock: a candidate", 1_700_000_000)
FILES = {
    "a.txt": "one\ntwo\n",
    "src/lib.py": "def f():\n    return 1\n",
    "src/deep/er/x.txt": "x\n",
    "run.sh": "#!/bin/sh\nexit 0\n",
    ".gitignore": "*.log\nbuild/\n",
}


def git(folder: Path, *args: str, check: bool = True, env: dict[str, str] | None = None) -> str:
    """git as a person would call it, in `folder`."""
    done = subprocess.run(
        ["git", *args], cwd=folder, capture_output=True, check=False, env={**os.environ, **(env or {})}
    )
    if check and done.returncode:
        raise AssertionError(f"git {' '.join(args)}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode("utf-8", "surrogateescape")


def commit_all(folder: Path, message: str = "change") -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD").strip()


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def make_repository(folder: Path, files: dict[str, str | bytes] | None = None, *init: str) -> Path:
    """A repository with two commits, the first of them empty."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main", *init)
    git(folder, "config", "user.name", "Ursula User")
    git(folder, "config", "user.email", "ursula@example.invalid")
    git(folder, "commit", "-q", "--allow-empty", "-m", "the secret of history")
    write(folder, dict(FILES) if files is None else files)
    if files is None:
        (folder / "run.sh").chmod(0o755)
        (folder / "link").symlink_to("src/lib.py")
    commit_all(folder, "the base")
    return folder


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file below `folder` by content, mode and mtime: what must stay bit for bit."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            said = str(path.readlink())
        elif path.is_file():
            said = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            said = "folder"
        found[str(path.relative_to(folder))] = f"{status.st_mode:o} {status.st_mtime_ns} {said}"
    return found


@dataclass
class World:
    root: Path
    repository: Path
    workspaces: GitWorkspaces

    @property
    def store(self) -> Path:
        return self.root / "state/store.git"

    @property
    def places(self) -> Path:
        return self.root / "state/places"

    @property
    def gates(self) -> Path:
        return self.places.with_name("gates")

    def base(self) -> Base:
        return self.workspaces.import_base()

    def attempt(self, number: int = 1, stage: str = "code") -> AttemptId:
        return AttemptId(stage, 1, number)

    def open(self, commit: str, number: int = 1, spec: CheckoutSpec | None = None, stage: str = "code") -> Checkout:
        return self.workspaces.open("run1", self.attempt(number, stage), commit, at_level(spec))

    def snapshot(
        self, checkout: Checkout, parent: str, number: int = 1, spec: CheckoutSpec | None = None, stage: str = "code"
    ) -> Candidate:
        ref = f"refs/interlock/run1/{stage}/1.{number}"
        return self.workspaces.snapshot(checkout, parent, at_level(spec), STAMP, ref)

    def attempted(self, files: dict[str, str | bytes], parent: str, number: int, stage: str = "code") -> Candidate:
        """A candidate that writes `files` on `parent`."""
        checkout = self.open(parent, number, stage=stage)
        write(checkout.tree, files)
        candidate = self.snapshot(checkout, parent, number, stage=stage)
        self.workspaces.wipe(checkout)
        return candidate

    def deliver(self, commit: str, base: str, branch: str, stamp: Stamp, series: Sequence[str], *, sign: bool) -> str:
        """All of a delivery."""
        tip = self.workspaces.send(commit, base, branch, stamp, series, sign=sign)
        self.workspaces.create_branch(branch, tip)
        return tip

    def in_store(self, *args: str) -> str:
        return git(self.root, f"--git-dir={self.store}", *args)

    def files(self, commit: str) -> dict[str, str]:
        """Path to mode of a commit's tree, as git reads it from the store."""
        found = {}
        for record in self.in_store("ls-tree", "-r", "-z", commit).split("\0")[:-1]:
            meta, _, path = record.partition("\t")
            found[path] = meta.split(" ")[0]
        return found


def at_level(spec: CheckoutSpec | None) -> CheckoutSpec:
    """At the level that the tests run at, unless the test says another one."""
    spec = spec or CheckoutSpec()
    level = os.environ.get("INTERLOCK_SANDBOX", "none")
    return replace(spec, sandbox=replace(spec.sandbox, level=level)) if spec.sandbox.level == "none" else spec


def make_world(root: Path, repository: Path | None = None) -> World:
    repository = repository or make_repository(root / "repository")
    workspaces = GitWorkspaces(root / "state/store.git", root / "state/places", repository, os.environ)
    return World(root, repository, workspaces)

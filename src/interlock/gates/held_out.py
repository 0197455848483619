"""Held-out files: given to the referee alone, copied in beside the checkout for the time of one run.

Rule: a pipeline names them, and only the user's settings or environment say where they are: agents can read a
pipeline. Their digest is part of the verdict's key, they are read-only where they are copied to, and all that
a gate says of them is secret.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interlock.core.held_out import is_name, variable_of

_FILES_MAX = 20_000


class HeldOutMissing(Exception):
    """Nothing says where the files are, or they are not there. The text says what would be right."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Where they are: `settings` by name, `environ` above them. `repository` is what they may not lie in."""

    settings: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    repository: Path | None = None

    def names(self) -> Mapping[str, str]:
        """All that is known, with where it is said to be."""
        start = variable_of("")
        variables = {name for name, value in self.environ.items() if name.startswith(start) and value}
        named = {name.removeprefix(start).lower().replace("_", "-"): self.environ[name] for name in variables}
        return {**self.settings, **named}

    def source(self, said: str) -> Path:
        """Where the files are that a gate names, or gives the path of. Raises HeldOutMissing."""
        known = self.names()
        if is_name(said) and said not in known:
            raise HeldOutMissing(
                f"nothing says where the held-out files `{said}` are: write `held_out: {{{said}: /where/they/are}}` "
                f"into your settings (interlock doctor tells in which folder), or set {variable_of(said)}"
            )
        source = Path(known.get(said, said))
        if not source.is_absolute():
            raise HeldOutMissing(f"{source}: the held-out files need an absolute path")
        if self.repository is not None and source.resolve().is_relative_to(self.repository.resolve()):
            raise HeldOutMissing(f"{source}: the held-out files lie in the repository: move them out, agents read it")
        if not source.exists():
            raise HeldOutMissing(f"{source}: the held-out files are not there: restore them, or correct `held_out`")
        return source


def digest(source: Path) -> str:
    """Over names and contents. Raises HeldOutMissing where there are too many."""
    whole = hashlib.sha256()
    for path in _files(source):
        name = os.fsencode(path.relative_to(source))
        whole.update(b"%d:%b" % (len(name), name))
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def lay_out(source: Path, target: Path) -> None:
    """Copy `source` (a file or a folder) to `target`, read-only."""
    if source.is_file():
        shutil.copyfile(source, target)
    else:
        for path in _files(source):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    _chmod(target, 0o555, 0o444)


def take_away(target: Path) -> None:
    """Remove what `lay_out` made, whatever became of it."""
    if target.is_dir() and not target.is_symlink():
        _chmod(target, 0o700, 0o600)
        shutil.rmtree(target, ignore_errors=True)
    else:
        target.unlink(missing_ok=True)


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
        return
    skipped = {"__pycache__", ".git", ".pytest_cache"}
    files = sorted(path for path in source.rglob("*") if path.is_file() and not skipped.intersection(path.parts))
    if len(files) > _FILES_MAX:
        raise HeldOutMissing(f"{source}: {len(files)} held-out files, at most {_FILES_MAX} are copied: hold out fewer")
    yield from files


def _chmod(root: Path, folders: int, files: int) -> None:
    """Top down where folders become open, bottom up where they are closed: rglob's list is made before."""
    if root.is_file():
        root.chmod(files)
        return
    if folders & 0o200:
        root.chmod(folders)
        for folder, names, _ in os.walk(root):
            for name in names:
                path = Path(folder) / name
                if not path.is_symlink():
                    path.chmod(folders)
        return
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            (Path(folder) / name).chmod(files)
        Path(folder).chmod(folders)

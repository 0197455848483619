"""Held-out files: only the referee gets them, as a copy beside the checkout during one run.

Rule: a pipeline has their name only, and the user's settings or environment their path, since agents can read a
pipeline. Their digest is part of the verdict's key, the copy is read-only, and all findings of such a gate are secret.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interlock.text.names import is_name, variable_of

_FILES_MAX = 20_000


class HeldOutMissing(Exception):
    """The path of the files is not known, or they do not exist. The text says what would be right."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Their paths by name, from `settings` and, first, from `environ`. They may not be inside `repository`.
    Before both, those that `came` with a run from the machine that started it."""

    settings: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    repository: Path | None = None
    came: Mapping[str, Path] = field(default_factory=dict)

    def names(self) -> Mapping[str, str]:
        """All known names, with their paths."""
        start = variable_of("")
        variables = {name for name, value in self.environ.items() if name.startswith(start) and value}
        named = {name.removeprefix(start).lower().replace("_", "-"): self.environ[name] for name in variables}
        return {**self.settings, **named}

    def source(self, name_or_path: str) -> Path:
        """The path for what a gate says: a name or a path. Raises HeldOutMissing."""
        if name_or_path in self.came:
            return self.came[name_or_path]
        known = self.names()
        if is_name(name_or_path) and name_or_path not in known:
            raise HeldOutMissing(
                f"no setting says where the held-out files `{name_or_path}` are: write "
                f"`held_out: {{{name_or_path}: /where/they/are}}` into your settings "
                f"(interlock doctor tells in which folder), or set {variable_of(name_or_path)}"
            )
        source = Path(known.get(name_or_path, name_or_path))
        if not source.is_absolute():
            raise HeldOutMissing(f"{source}: the held-out files need an absolute path")
        if self.repository is not None and source.resolve().is_relative_to(self.repository.resolve()):
            raise HeldOutMissing(
                f"{source}: the held-out files are in the repository: move them out, since agents can read it"
            )
        if not source.exists():
            raise HeldOutMissing(f"{source}: the held-out files do not exist: restore them, or correct `held_out`")
        return source


def digest(source: Path) -> str:
    """The digest of names and contents. Raises HeldOutMissing if there are too many."""
    whole = hashlib.sha256()
    for path in files(source):
        name = os.fsencode(path.relative_to(source))
        whole.update(b"%d:%b" % (len(name), name))
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def copy_to(source: Path, target: Path) -> None:
    """Copy `source` (a file or a folder) to `target`, read-only. It is removed with the checkout that it is beside."""
    if source.is_file():
        shutil.copyfile(source, target)
    else:
        for path in files(source):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    _write_protect(target)


def files(source: Path) -> Iterator[Path]:
    """The files that a gate gets, sorted; a link to a file stands for that. Raises HeldOutMissing above a limit."""
    if source.is_file():
        yield source
        return
    skipped = {"__pycache__", ".git", ".pytest_cache"}
    files = sorted(path for path in source.rglob("*") if path.is_file() and not skipped.intersection(path.parts))
    if len(files) > _FILES_MAX:
        raise HeldOutMissing(
            f"{source}: {len(files)} held-out files, but at most {_FILES_MAX} are copied: hold out fewer files"
        )
    yield from files


def _write_protect(root: Path) -> None:
    if root.is_file():
        root.chmod(0o444)
        return
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            (Path(folder) / name).chmod(0o444)
        Path(folder).chmod(0o555)

"""Setup recipes: made once per key in a checkout that is then gone, copied into each place, settled there.

Rule: a copy must not lead back to where it was made. The setup checkout is removed, so that a stale path in
what was made fails loudly, and `settle` mends it in each checkout.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shlex
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from interlock.core.globs import matches_any
from interlock.core.pipeline import Command, Setup
from interlock.ports import InfrastructureError, Place
from interlock.process import How, Supervised, capture, supervise
from interlock.workspaces import trees
from interlock.workspaces.checkout import remove
from interlock.workspaces.objects import disk_trouble
from interlock.workspaces.trees import Listing

TAIL_LINES = 30


class Recipes:
    """What setup recipes made, by key, below one folder."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = {
            name: value
            for name, value in environ.items()
            if not name.startswith("GIT_") and name not in ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH")
        }

    def furnish(self, setups: Sequence[Setup], listing: Listing, place: Place, fresh: Callable[[], Place]) -> None:
        """Put what the recipes make into `place`, making it first where it is not there, and settle it.

        `fresh` gives an unfurnished checkout of the same files. Raises InfrastructureError with the end of the
        output where a command fails.
        """
        for index, setup in enumerate(setups):
            made = self._made(setups[: index + 1], listing, fresh)
            for path in setup.paths:
                if (made / path).exists() or (made / path).is_symlink():
                    copy_tree(made / path, place.tree / path, self._environ)
        for setup in setups:
            if setup.settle is not None:
                self._run(setup.settle, setup.timeout_s, place, "settle")

    def variables(self, setups: Sequence[Setup], place: Place) -> tuple[tuple[str, str], ...]:
        """What a place's programs need to find what setup left: PATH, VIRTUAL_ENV."""
        folders, virtual = [], ""
        for path in (path for setup in setups for path in setup.paths):
            left = place.tree / path
            if (left / "pyvenv.cfg").is_file():
                virtual = virtual or str(left)
                folders.append(str(left / "bin"))
            elif (left / ".bin").is_dir():
                folders.append(str(left / ".bin"))
        if not folders:
            return ()
        found = [("PATH", os.pathsep.join([*folders, self._environ.get("PATH", os.defpath)]))]
        return (*found, ("VIRTUAL_ENV", virtual)) if virtual else tuple(found)

    def _made(self, setups: Sequence[Setup], listing: Listing, fresh: Callable[[], Place]) -> Path:
        """The folder with what the last of `setups` leaves."""
        made = self._folder / key_of(setups, listing, self._environ)
        if not made.is_dir():
            with self._alone(made.name):
                if not made.is_dir():
                    self._make(setups, listing, fresh, made)
        os.utime(made)  # its last use, for gc
        return made

    def _make(self, setups: Sequence[Setup], listing: Listing, fresh: Callable[[], Place], made: Path) -> None:
        setup = setups[-1]
        place = fresh()
        try:
            self.furnish(setups[:-1], listing, place, fresh)
            self._run(setup.command, setup.timeout_s, place, "setup")
            aside = Path(tempfile.mkdtemp(prefix="making-", dir=self._folder))
            for path in setup.paths:
                _move(place.tree / path, aside / path)
            aside.rename(made)
        except OSError as error:
            raise disk_trouble(made, error) from error
        finally:
            remove(place.root)

    def _run(self, command: Command, timeout_s: int, place: Place, what: str) -> None:
        log = place.tmp / f"{what}.log"
        work = Supervised(command.words, place.tree, self._environ, log, timeout_s)
        done = supervise(work, threading.Event())
        log.unlink(missing_ok=True)
        if done.how is How.EXITED and done.code == 0:
            return
        why = f"exit code {done.code}" if done.how is How.EXITED else done.how.value.replace("_", " ")
        tail = "\n".join(done.tail.decode(errors="replace").strip().splitlines()[-TAIL_LINES:])
        raise InfrastructureError(f"{what}: `{shlex.join(command.words)}`: {why}\n{tail}".rstrip())

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """One at a time for a key, over all processes."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._folder / f"{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise disk_trouble(self._folder, error) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def key_of(setups: Sequence[Setup], listing: Listing, environ: Mapping[str, str]) -> str:
    """What the last of `setups` (and those before it) hang on: commands, key files, programs, system."""
    said = [
        [setup.command.words, setup.paths, setup.key, _key_files(setup.key, listing), _programs(setup.command, environ)]
        for setup in setups
    ]
    system = [platform.platform(), platform.machine(), sys.version]
    return hashlib.sha256(json.dumps([said, system]).encode()).hexdigest()


def copy_tree(source: Path, target: Path, environ: Mapping[str, str]) -> None:
    """A copy with modes, times and symlinks, sharing no file with the source. Raises InfrastructureError."""
    clone = ["-cRp"] if sys.platform == "darwin" else ["-a", "--reflink=auto"]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_trouble(target, error) from error
    done = capture(["cp", *clone, "--", str(source), str(target)], env=environ, timeout_s=1800)
    if done.code:
        raise InfrastructureError(f"{target}: cannot be copied: {done.err.decode(errors='replace').strip()[-500:]}")


def _key_files(globs: Sequence[str], listing: Listing) -> list[tuple[str, str]]:
    if not globs:
        return []
    paths = ((os.fsdecode(path), entry) for path, entry in trees.leaves(listing))
    found = ((path, f"{entry.mode} {entry.oid}") for path, entry in paths if matches_any(globs, path))
    return sorted((path.encode("utf-8", "backslashreplace").decode(), said) for path, said in found)


def _programs(command: Command, environ: Mapping[str, str]) -> list[tuple[str, int, int]]:
    """The programs that a command names, by what tells one version from another without running it."""
    try:
        words = command.argv or tuple(shlex.split(command.shell, comments=True))
    except ValueError:
        words = tuple(command.shell.split())
    found = []
    for word in dict.fromkeys(words):
        path = shutil.which(word, path=environ.get("PATH")) if word and "=" not in word else None
        if path:
            real = Path(path).resolve()
            status = real.stat()
            found.append((str(real), status.st_size, status.st_mtime_ns))
    return found


def _move(source: Path, target: Path) -> None:
    if not source.exists() and not source.is_symlink():
        raise InfrastructureError(f"setup: the command left no {source.name}, which `paths` names", permanent=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)

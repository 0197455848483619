"""What can be told of an agent program without spending: where it is, its version, and whether it could log in.

Rule: nothing is called but `--version`, and no login is read: that its file is there is all that is looked at.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from interlock.core.programs import PROGRAMS, Program
from interlock.ports import InterlockError
from interlock.process import capture, scrubbed

_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Probed:
    """`path` is empty where the program is not there, `version` where it does not say, `access` where nothing is."""

    name: str
    path: str = ""
    version: str = ""
    access: str = ""
    advice: str = ""


def probe(environ: Mapping[str, str], names: Collection[str] | None = None) -> tuple[Probed, ...]:
    """Every program that has an adapter of its own, or those of `names`."""
    return tuple(_probed(one, environ) for one in PROGRAMS if names is None or one.name in names)


def logged_in(environ: Mapping[str, str]) -> frozenset[str]:
    """The programs whose login lies where they keep it."""
    return frozenset(one.name for one in PROGRAMS if _login(one, environ) is not None)


def version_of(path: str, environ: Mapping[str, str]) -> str:
    """What the program at `path` says of itself, empty where it says nothing that we know how to read."""
    with TemporaryDirectory(prefix="interlock-") as home:
        env = {**scrubbed(environ), "HOME": home, "MSWEA_SILENT_STARTUP": "1", "MSWEA_CONFIGURED": "true"}
        try:
            said = capture([path, "--version"], cwd=Path(home), env=env, timeout_s=_TIMEOUT_S).out
        except InterlockError:
            return ""
    found = re.search(rb"\d+\.\d+[\w.+-]*", said)
    return found[0].decode() if found else ""


def _login(program: Program, environ: Mapping[str, str]) -> Path | None:
    if program.login is None:
        return None
    folder = environ.get(program.login.variable) or Path(environ.get("HOME", "/")) / program.login.folder
    path = Path(folder) / program.login.file
    return path if path.is_file() else None


def _probed(program: Program, environ: Mapping[str, str]) -> Probed:
    path = shutil.which(program.name, path=scrubbed(environ).get("PATH"))
    if path is None:
        return Probed(program.name, advice=f"put {program.name} on the PATH to use it")
    access, advice = _access(program, environ)
    return Probed(program.name, path, version_of(path, environ), access, advice)


def _access(program: Program, environ: Mapping[str, str]) -> tuple[str, str]:
    for key in program.keys:
        if environ.get(key):
            return f"{key} is set", f"name it under the agent's `secrets`: secrets: [{key}]"
    if (path := _login(program, environ)) is not None:
        return f"a login in {path}", "lend it with `login: true`"
    return "", f"set {' or '.join(program.keys)}" + (f", or log in with {program.name}" if program.login else "")

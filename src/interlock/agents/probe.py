"""What can be told of an agent program without spending: where it is, its version, and whether it could log in.

Rule: nothing is called but `--version`, and no login is read: that its file is there is all that is looked at.

One tiny call of an agent, to see whether it works: the only thing here that spends.

Rule: it is started as in an attempt, in a repository of its own that is thrown away, with what its own definition
lets it see.
"""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec
from interlock.core.programs import PROGRAMS, Program, program
from interlock.ports import Agent, Brief, Checkout, InterlockError, Outcome
from interlock.process import capture, scrubbed

_TIMEOUT_S = 20
_VERSION = re.compile(rb"\d+\.\d+[\w.+-]*")


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
    if not (found := _VERSION.search(said)):
        return _installed(Path(path))
    return found[0].decode()


def _installed(program: Path) -> str:
    """As its package says, where it is one of Python's, beside the program."""
    name = re.compile(rf"^{re.escape(program.name)}\s*=", re.M)
    for entries in program.resolve().parent.parent.glob("lib/python3*/*-packages/*.dist-info/entry_points.txt"):
        if name.search(entries.read_text(encoding="utf-8", errors="replace")):
            return entries.parent.name.removesuffix(".dist-info").rpartition("-")[2]
    return ""


def version_in(environ: Mapping[str, str], program: str) -> str:
    """As `version_of`, of the one that is found there."""
    return version_of(shutil.which(program, path=environ.get("PATH", "")) or program, environ)


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
    if keys := [key for key in program.keys if environ.get(key)]:
        which = f"name it under the agent's `secrets`: secrets: [{keys[0]}]"
        if len(keys) == 1:
            return f"{keys[0]} is set", which
        return f"{' and '.join(keys)} are set", "name the one that its model asks for under the agent's `secrets`"
    if (path := _login(program, environ)) is not None:
        return f"a login in {path}", "lend it with `login: true`"
    return "", f"set {' or '.join(program.keys)}" + (
        f", or log in with {program.name} and write `login: true`" if program.login else ""
    )


_ASKED = "Answer with the one word OK. Read nothing and change nothing."
_CALL_TIMEOUT_S = 120


def known_spec(name: str, environ: Mapping[str, str]) -> AgentSpec:
    """A program as `init` would define it. Raises KeyError for one without an adapter of its own."""
    keys = program(name).keys
    login = name in logged_in(environ) and not any(environ.get(key) for key in keys)
    return AgentSpec(name, name, secrets=keys, options=(("login", "true"),) if login else ())


def call(agent: Agent, spec: AgentSpec, environ: Mapping[str, str]) -> Outcome:
    """What came back. Raises InfrastructureError where the machine cannot start anything."""
    with TemporaryDirectory(prefix="interlock-") as folder:
        checkout = _place(Path(folder), environ)
        env = {**scrubbed(environ, (*spec.env, *spec.secrets)), "HOME": str(checkout.home), "TMPDIR": str(checkout.tmp)}
        attempt = AttemptId("doctor", 1, 1)
        brief = Brief("doctor", attempt, _ASKED, _ASKED, spec.model, env, _CALL_TIMEOUT_S, _CALL_TIMEOUT_S)
        return agent.work(spec, brief, checkout, threading.Event())


def _place(folder: Path, environ: Mapping[str, str]) -> Checkout:
    checkout = Checkout(folder, folder / "tree", folder / "home", folder / "tmp")
    for one in (checkout.tree, checkout.home, checkout.tmp):
        one.mkdir()
    (checkout.tree / "README").write_text("A repository of nothing.\n", encoding="utf-8")
    capture(("git", "init", "-q"), cwd=checkout.tree, env=scrubbed(environ))
    return checkout

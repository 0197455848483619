"""Whether an agent program can be used: where it is, its version, whether it has access to a model, and one tiny call.

Rule: only `call_once` spends anything; it starts the agent as in an attempt, with the environment of its own
definition, in a temporary repository. The rest starts nothing but `--version`, and never reads a login: it only looks
whether the file exists.
"""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from interlock.conventions.programs import ADAPTERS, PROGRAMS, Login, Program, program
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec
from interlock.ports import Agent, Brief, Checkout, InterlockError, Outcome, Sandbox
from interlock.process import capture, checkout_environment, scrubbed

_PROMPT = "Answer with the one word OK. Read nothing and change nothing."
_TIMEOUT_S = 20
_CALL_TIMEOUT_S = 120
_VERSION = re.compile(rb"\d+\.\d+[\w.+-]*")


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """`path` is empty if the program is not installed, `version` if it is unknown, `access` if there is none."""

    name: str
    path: str = ""
    version: str = ""
    access: str = ""
    advice: str = ""


def probe(environ: Mapping[str, str], names: Collection[str] | None = None) -> tuple[ProbeResult, ...]:
    """Every program with an adapter of its own, or those in `names`."""
    return tuple(_probed(one, environ) for one in PROGRAMS if names is None or one.name in names)


def startable(environ: Mapping[str, str]) -> frozenset[str]:
    """The kinds of agents, as `use` names them, whose program or package is on this machine."""
    path = scrubbed(environ).get("PATH")
    return frozenset(
        name
        for name, one in ADAPTERS.items()
        if not (one.program and shutil.which(one.program, path=path) is None)
        and not (one.package and find_spec(one.package) is None)
    )


def logged_in(environ: Mapping[str, str]) -> frozenset[str]:
    """The programs whose login file exists."""
    return frozenset(one.name for one in PROGRAMS if _login(one, environ) is not None)


def login_path(login: Login, environ: Mapping[str, str]) -> Path:
    """Where the program keeps its login, if the user is logged in."""
    folder = environ.get(login.variable) or Path(environ.get("HOME", "/")) / login.folder
    return Path(folder) / login.file


def version_in(environ: Mapping[str, str], program: str) -> str:
    """The version of the program of this name that is first on the PATH; empty if it cannot be read."""
    return _version(program, shutil.which(program, path=environ.get("PATH", "")) or program, environ)


def default_spec(name: str, environ: Mapping[str, str]) -> AgentSpec:
    """An agent as `init` would define it. Raises KeyError for a program without an adapter of its own."""
    keys = program(name).keys
    login = name in logged_in(environ) and not any(environ.get(key) for key in keys)
    return AgentSpec(name, name, secrets=keys, options=(("login", "true"),) if login else ())


def call_once(agent: Agent, spec: AgentSpec, environ: Mapping[str, str], sandbox: Sandbox) -> Outcome:
    """One call of the agent's model, in a sandbox as in an attempt. Raises InfrastructureError if the machine cannot
    start a process."""
    with TemporaryDirectory(prefix="interlock-") as folder:
        checkout = replace(_checkout(Path(folder), environ), sandbox=sandbox)
        env = checkout_environment(environ, checkout, (*spec.env, *spec.secrets))
        attempt = AttemptId("doctor", 1, 1)
        brief = Brief("doctor", attempt, _PROMPT, _PROMPT, spec.model, env, _CALL_TIMEOUT_S, _CALL_TIMEOUT_S)
        brief = replace(brief, hosts=spec.hosts)
        return agent.work(spec, brief, checkout, threading.Event())


def _version(name: str, path: str, environ: Mapping[str, str]) -> str:
    with TemporaryDirectory(prefix="interlock-") as home:
        quiet = dict(next((one.version_env for one in PROGRAMS if one.name == name), ()))
        env = {**scrubbed(environ), "HOME": home, **quiet}
        try:
            output = capture([path, "--version"], cwd=Path(home), env=env, timeout_s=_TIMEOUT_S).out
        except InterlockError:
            return ""
    if not (found := _VERSION.search(output)):
        return _installed(Path(path))
    return found[0].decode()


def _installed(program: Path) -> str:
    """The version of the Python package that installed the program; empty if none did."""
    name = re.compile(rf"^{re.escape(program.name)}\s*=", re.M)
    for entries in program.resolve().parent.parent.glob("lib/python3*/*-packages/*.dist-info/entry_points.txt"):
        if name.search(entries.read_text(encoding="utf-8", errors="replace")):
            return entries.parent.name.removesuffix(".dist-info").rpartition("-")[2]
    return ""


def _login(program: Program, environ: Mapping[str, str]) -> Path | None:
    if program.login is None:
        return None
    path = login_path(program.login, environ)
    return path if path.is_file() else None


def _probed(program: Program, environ: Mapping[str, str]) -> ProbeResult:
    path = shutil.which(program.name, path=scrubbed(environ).get("PATH"))
    if path is None:
        return ProbeResult(program.name, advice=f"put {program.name} on the PATH to use it")
    access, advice = _access(program, environ)
    return ProbeResult(program.name, path, _version(program.name, path, environ), access, advice)


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


def _checkout(folder: Path, environ: Mapping[str, str]) -> Checkout:
    checkout = Checkout(folder, folder / "tree", folder / "home", folder / "tmp")
    for one in (checkout.tree, checkout.home, checkout.tmp):
        one.mkdir()
    (checkout.tree / "README").write_text("An empty repository.\n", encoding="utf-8")
    capture(("git", "init", "-q"), cwd=checkout.tree, env=scrubbed(environ))
    return checkout

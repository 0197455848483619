"""One tiny call of an agent, to see whether it works: the only thing here that spends.

Rule: it is started as in an attempt, in a repository of its own that is thrown away, with what its own definition
lets it see.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from interlock.agents.probe import logged_in
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec
from interlock.core.programs import program
from interlock.ports import Agent, Brief, Checkout, Outcome
from interlock.process import capture, checkout_environment, scrubbed

_ASKED = "Answer with the one word OK. Read nothing and change nothing."
_TIMEOUT_S = 120


def known_spec(name: str, environ: Mapping[str, str]) -> AgentSpec:
    """A program as `init` would define it. Raises KeyError for one without an adapter of its own."""
    keys = program(name).keys
    login = name in logged_in(environ) and not any(environ.get(key) for key in keys)
    return AgentSpec(name, name, secrets=keys, options=(("login", "true"),) if login else ())


def call(agent: Agent, spec: AgentSpec, environ: Mapping[str, str]) -> Outcome:
    """What came back. Raises InfrastructureError where the machine cannot start anything."""
    with TemporaryDirectory(prefix="interlock-") as folder:
        checkout = _place(Path(folder), environ)
        env = checkout_environment(environ, checkout, (*spec.env, *spec.secrets))
        attempt = AttemptId("doctor", 1, 1)
        brief = Brief("doctor", attempt, _ASKED, _ASKED, spec.model, env, _TIMEOUT_S, _TIMEOUT_S)
        return agent.work(spec, brief, checkout, threading.Event())


def _place(folder: Path, environ: Mapping[str, str]) -> Checkout:
    checkout = Checkout(folder, folder / "tree", folder / "home", folder / "tmp")
    for one in (checkout.tree, checkout.home, checkout.tmp):
        one.mkdir()
    (checkout.tree / "README").write_text("A repository of nothing.\n", encoding="utf-8")
    capture(("git", "init", "-q"), cwd=checkout.tree, env=scrubbed(environ))
    return checkout

"""What `interlock doctor` says of agent programs: of those that are there, and of those that pipelines name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.cli.looking import DoctorResult

if TYPE_CHECKING:
    from interlock.agents.probe import ProbeResult
    from interlock.core.pipeline import AgentSpec


def agents_in(root: Path) -> tuple[AgentSpec, ...]:
    """Those of the valid pipelines here, each once."""
    from interlock.pipelinefile import InvalidPipeline, find_pipelines, load_pipeline

    found: dict[AgentSpec, None] = {}
    for path in find_pipelines(root).values():
        try:
            found |= dict.fromkeys(load_pipeline(path, root).pipeline.agents)
        except InvalidPipeline:
            continue
    return tuple(found)


def of_programs(environ: Mapping[str, str], agents: Sequence[AgentSpec]) -> Iterator[DoctorResult]:
    """The programs with an adapter of their own, those that are there, and whether the agents can use them."""
    from interlock.agents.probe import probe

    for one in probe(environ):
        if one.path:
            yield _of_program(one, environ, [agent for agent in agents if agent.use == one.name])
    for agent in agents:
        if wrong := _missing(agent, environ) or _unset(agent, environ):
            yield DoctorResult(f"agent {agent.name}", "warn", wrong)


def _of_program(one: ProbeResult, environ: Mapping[str, str], users: Sequence[AgentSpec]) -> DoctorResult:
    from interlock.core.programs import is_older, program

    known, needed = f"{one.version or 'of unknown version'} ({one.path})", program(one.name).tested
    topic = f"agent {one.name}"
    if is_older(one.version, needed):
        return DoctorResult(topic, "warn", f"{known} is too old: install {needed} or newer")
    if users:
        given = "; ".join(dict.fromkeys(_given(agent, environ) for agent in users))
        able = any(_is_lent(agent) or any(map(environ.get, agent.secrets)) for agent in users)
        return DoctorResult(topic, "ok" if able else "note", f"{known}, {given}")
    access = one.access or "no key and no login seen"
    return DoctorResult(topic, "ok" if one.access else "note", f"{known}, {access}: {one.advice}")


def _given(agent: AgentSpec, environ: Mapping[str, str]) -> str:
    """What an agent of the pipelines uses of what is there."""
    keys = [name for name in agent.secrets if environ.get(name)]
    given = ["its login"] if _is_lent(agent) else []
    return f"{agent.name} is given {' and '.join((*keys, *given)) or 'no key and no login'}"


def _missing(agent: AgentSpec, environ: Mapping[str, str]) -> str:
    from interlock.core.programs import PROGRAMS
    from interlock.process import scrubbed

    if agent.use == "model":
        needs = "" if find_spec("pydantic_ai") else "pip install 'interlock[models]'"
        return f"`use: model` needs more: {needs}" if needs else ""
    started = agent.use if any(one.name == agent.use for one in PROGRAMS) else ""
    if agent.use == "acp" and agent.command is not None:
        started = agent.command.words[0]
    if not started or "/" in started or shutil.which(started, path=scrubbed(environ).get("PATH", "")):
        return ""
    return f"{started} is not on the PATH, and the pipelines name it: install it, or name another program"


def _unset(agent: AgentSpec, environ: Mapping[str, str]) -> str:
    """Of those whose keys are asked for before they start."""
    from interlock.agents.failures import Access, missing_keys
    from interlock.core.programs import PROGRAMS

    if agent.use not in ("acp", "model", *(one.name for one in PROGRAMS)):
        return ""
    seen = {name: environ.get(name, "") for name in (*agent.env, *agent.secrets)}
    return missing_keys(Access(agent.use, seen, agent.secrets, login=_is_lent(agent)))


def _is_lent(agent: AgentSpec) -> bool:
    return json.loads(dict(agent.options).get("login", "false")) is True

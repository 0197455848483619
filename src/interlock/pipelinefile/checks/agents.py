"""Agents: their adapters and options, their fallbacks, and whether each is used."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from interlock.conventions.programs import ADAPTERS
from interlock.pipelinefile.checks import check_variables
from interlock.pipelinefile.load import HINT, MESSAGE, is_unfilled
from interlock.pipelinefile.mistakes import nearest
from interlock.pipelinefile.models import AgentPart

if TYPE_CHECKING:
    from interlock.conventions.programs import Adapter
    from interlock.core.pipeline import AgentSpec, Stage
    from interlock.pipelinefile.checks import View

RESUMING = tuple(name for name, adapter in ADAPTERS.items() if adapter.resumes)
_ADDRESS = re.compile(r"https?://[^\s/]+")
_PROXIED = '"proxied"'
_PRICE = "price: {input: 1.25, output: 10}"


def check(view: View) -> None:
    for agent in view.pipeline.agents:
        _adapter(view, agent)
        _fallback(view, agent)
        check_variables(view, ("agents", agent.name), agent.env, agent.secrets)
    _fallback_cycles(view)
    known = view.declared("agents")
    for stage in view.pipeline.stages:
        if stage.agent and (hint := view.unknown_agent(stage.agent)):
            view.error(("stages", stage.id, "agent"), f"there is no agent {stage.agent}", hint)
    _sessions(view)
    for stage in view.pipeline.stages:
        if stage.instructions is not None and not stage.agent and not view.is_broken("stages", stage.id):
            at = ("stages", stage.id, "instructions")
            view.warn(at, f"{stage.id} has no agent that reads instructions", "remove it")
    used = used_agents(view)
    if not used <= known:
        return  # a misspelt name is reported already, and its agent only looks unused
    for agent in view.pipeline.agents:
        if agent.name not in used and not view.is_broken("stages") and not view.is_included("agents", agent.name):
            view.warn(("agents", agent.name), f"no stage uses the agent {agent.name}", "use it, or remove it")


def _sessions(view: View) -> None:
    """Only agents that keep a session can resume one."""
    uses = {agent.name: agent.use for agent in view.pipeline.agents}
    for stage in view.pipeline.stages:
        workers = (stage.agent, *(rule.agent for rule in stage.on_reject)) if stage.resumes else ()
        for name in dict.fromkeys(workers):
            if name in uses and uses[name] not in RESUMING:
                hint = f"remove session, or use one of {', '.join(RESUMING)}"
                view.error(("stages", stage.id, "session"), f"{name} ({uses[name]}) does not keep a session", hint)
        if stage.resumes and not stage.agent:
            view.error(("stages", stage.id, "session"), f"{stage.id} has no agent that keeps a session", "remove it")


def used_agents(view: View) -> set[str]:
    """The agents that a stage, a rule, a review or another agent's fallback names."""
    return {name for stage in view.pipeline.stages for name in agents_of(view, stage)}


def agents_of(view: View, stage: Stage) -> set[str]:
    """The agents that may work for the stage: workers, reviewers and their fallbacks."""
    reviewers = {name for gate in stage.gates if gate.options for name in gate.options.agents}
    return workers_of(view, stage) | _with_fallbacks(view, reviewers)


def workers_of(view: View, stage: Stage) -> set[str]:
    """The agents that may do the stage's work: its agent, those of its rules, and their fallbacks."""
    return _with_fallbacks(view, {stage.agent, *(rule.agent for rule in stage.on_reject)})


def _with_fallbacks(view: View, named: set[str]) -> set[str]:
    used = set(named)
    for _ in view.pipeline.agents:
        used |= {name for agent in view.pipeline.agents if agent.name in used for name in agent.fallback}
    return used - {""}


def _adapter(view: View, agent: AgentSpec) -> None:
    at = ("agents", agent.name)
    if is_unfilled(agent):
        view.warn((*at, "run"), f"{MESSAGE}: {agent.name} is a placeholder, and fails", HINT)
    adapter = ADAPTERS.get(agent.use)
    if adapter is None:
        view.error((*at, "use"), f"there is no agent program {agent.use}", nearest(agent.use, set(ADAPTERS)))
        return
    for option, value in agent.options:
        if option not in adapter.options and (option, value) != ("key", _PROXIED):
            known = {*AgentPart.model_fields, *adapter.options}
            view.at_key((*at, option), f"unknown key {option}", nearest(option, known))
        elif hint := _option_hint(option, json.loads(value)):
            view.error((*at, option), f"{option} has a wrong value", hint)
    if adapter.runs and agent.command is None and not view.is_broken(*at):
        view.at_key(at, f"the agent {agent.name} has no program", "add `run:` with the command to start")
    if not adapter.runs and agent.command is not None:
        view.at_key((*at, "run"), f"`use: {agent.use}` starts its own program", "remove run, or write `use: command`")
    if dict(agent.options).get("key") == _PROXIED:
        _proxied(view, agent, adapter)
    if adapter.providers:
        _model(view, agent, adapter)
    if not adapter.writes_files:
        _documents_only(view, agent)


def _proxied(view: View, agent: AgentSpec, adapter: Adapter) -> None:
    """Its key stays outside of its sandbox: Interlock must know which one, and the program must have no other way."""
    at = ("agents", agent.name)
    names = " or ".join(adapter.proxies)
    if not adapter.proxies:
        message = f"the key of `use: {agent.use}` cannot stay outside of its sandbox"
        view.error((*at, "key"), message, "remove key: Interlock cannot tell this program another address")
        return
    if len(named := [name for name in adapter.proxies if name in (*agent.secrets, *agent.env)]) != 1:
        which = f"{' and '.join(named)} are named" if named else "none is named"
        view.error((*at, "key"), f"which key stays outside? {which}", f"name one under `secrets`: {names}")
    if dict(agent.options).get("login") == "true":
        view.error(
            (*at, "login"), "a login cannot stay outside of the sandbox", f"remove login, and name a key: {names}"
        )
    if agent.hosts is None:
        hint = "remove network: it then reaches only its model; or list the hosts that it needs"
        view.error((*at, "network"), "`key: proxied` needs a network of its own", hint)
    if agent.name in used_agents(view):
        hint = "start the run with it, or remove `key: proxied` from the agent"
        view.confined((*at, "key"), "`key: proxied` needs `--sandbox full`", hint)


def _model(view: View, agent: AgentSpec, adapter: Adapter) -> None:
    provider, _, name = agent.model.partition(":")
    if provider not in adapter.providers or not name:
        hint = f"write `model: PROVIDER:NAME` with one of {', '.join(adapter.providers)}"
        at = ("agents", agent.name, "model") if agent.model else ("agents", agent.name)
        (view.error if agent.model else view.at_key)(at, f"{agent.name} names no model", hint)


def _documents_only(view: View, agent: AgentSpec) -> None:
    for stage in view.pipeline.stages:
        if stage.agent == agent.name and not stage.produces:
            hint = "use an agent program, or add `produces`"
            message = f"{agent.name} (`use: {agent.use}`) writes only artifacts, and {stage.id} produces none"
            view.error(("stages", stage.id, "agent"), message, hint)


def _option_hint(option: str, value: object) -> str:
    """What the value of an adapter's option must be; empty if it is right."""
    match option:
        case "endpoint" if not (isinstance(value, str) and _ADDRESS.match(value)):
            return "write an address such as https://gateway.example"
        case "key" if value != "proxied":
            return "write `key: proxied`, or remove it"
        case "login" if not isinstance(value, bool):
            return "write true or false"
        case "price" if not _is_price(value):
            return f"write dollars per million tokens, such as `{_PRICE}`; cached: is what cached ones cost"
        case _:
            return ""


def _is_price(value: object) -> bool:
    if not isinstance(value, dict) or not {"input", "output"} <= set(value) <= {"input", "output", "cached"}:
        return False
    return all(isinstance(rate, int | float) and not isinstance(rate, bool) and rate >= 0 for rate in value.values())


def _fallback(view: View, agent: AgentSpec) -> None:
    for index, name in enumerate(agent.fallback):
        path = ("agents", agent.name, "fallback", index)
        if name == agent.name:
            view.error(path, f"{name} falls back on itself", "remove it")
        elif hint := view.unknown_agent(name):
            view.error(path, f"there is no agent {name}", hint)


def _fallback_cycles(view: View) -> None:
    fallback = {agent.name: [name for name in agent.fallback if name != agent.name] for agent in view.pipeline.agents}
    for start in fallback:
        way = [start]
        while (names := fallback.get(way[-1])) and names[0] not in way:
            way.append(names[0])
        if names and names[0] == start and start == min(way):
            hint = "end the chain with an agent that has no fallback"
            view.error(
                ("agents", start, "fallback"), f"agents fall back in a circle ({' -> '.join([*way, start])})", hint
            )

"""`key: proxied`: an agent's key stays outside of its room. The program gets a placeholder and an address in the room.

Rule: the key is nowhere in what the program is given: neither in a variable, whatever its name, nor in a file.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

from interlock.agents.program import Serves
from interlock.conventions.programs import ADAPTERS, endpoint_of
from interlock.core.pipeline import AgentSpec
from interlock.ports import Brief, Checkout

_ELSE = "Resume the run with it, or remove `key: proxied` from the agent and start a new run"


@dataclass(frozen=True, slots=True)
class Outside:
    """`address` is what the program takes for that of its model's API; `endpoint` is the real one."""

    key: str
    placeholder: str
    endpoint: str
    address: str
    serves: Serves

    def hide(self, env: Mapping[str, str]) -> dict[str, str]:
        """The variables, with the placeholder wherever one holds the key."""
        return {name: value.replace(self.key, self.placeholder) for name, value in env.items()}

    def hide_in(self, brief: Brief) -> Brief:
        return replace(brief, env=self.hide(brief.env), secrets=(*brief.secrets, self.key))


def wants_outside(spec: AgentSpec) -> bool:
    return dict(spec.options).get("key") == '"proxied"'


def cannot_stay_outside(spec: AgentSpec, brief: Brief, checkout: Checkout) -> str:
    """Why the key cannot be kept from the program; empty if it can."""
    if checkout.sandbox.level == "none":
        return f"`key: proxied` needs `--sandbox full`: at `none` it can read every key of yours. {_ELSE}"
    if checkout.sandbox.level == "fs":
        return f"`key: proxied` needs `--sandbox full`: at `fs` it has no network of its own. {_ELSE}"
    if brief.hosts is None:
        return "`key: proxied` needs a network of its own: remove `network: true`"
    if not _name(spec, brief):
        return f"`key: proxied`: set {' or '.join(_candidates(spec))}, and name it under the agent's `secrets`"
    return ""


def keep_outside(spec: AgentSpec, brief: Brief, endpoint: str) -> Outside:
    """`endpoint` is what the agent's definition says, or empty."""
    from interlock.sandbox.keys import ADDRESS, PORT, Proxied

    name = _name(spec, brief)
    found = endpoint or endpoint_of(name, brief.env)
    proxied = Proxied(found, brief.env[name], f"proxied-{secrets.token_hex(16)}")
    return Outside(proxied.key, proxied.placeholder, found, ADDRESS, ((PORT, proxied.serve),))


def _name(spec: AgentSpec, brief: Brief) -> str:
    return next((name for name in _candidates(spec) if brief.env.get(name)), "")


def _candidates(spec: AgentSpec) -> tuple[str, ...]:
    return ADAPTERS[spec.use].proxies

"""What a person is told to do where an agent program cannot work: in the words of what this agent was given.

Rule: ours come first and whole, and what the program said comes after, where it may be cut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from interlock.agents.trouble import Cause
from interlock.core.programs import PROGRAMS, Program, is_older, key_names

_SAID_MAX = 2_000
_ADDRESS = re.compile(r"(?:_URL|_BASE|_HOST)$")
_USER = re.compile(r"(?<=//)[^/@\s]*@")
_RESUME = "then `interlock resume`"
_CREDIT = f"the account is out of credit or at its spending limit: add credit or raise it there, {_RESUME}"
_REGION = "the provider does not serve this country or region: call it from another one, or take another provider"


@dataclass(frozen=True, slots=True)
class Access:
    """How an agent is let into its model's API: `named` are its `secrets`, `env` what it sees. `login`: whether it was
    lent one, None where its program takes none."""

    program: str
    env: Mapping[str, str]
    named: tuple[str, ...] = ()
    endpoint: str = ""
    login: bool | None = None


def telling(program: str, advice: str, said: str) -> str:
    """Advice, then what the program said of itself."""
    if not advice:
        return f"{program}: {said[:_SAID_MAX]}"
    return f"{program}: {advice}; it said: {said[:_SAID_MAX]}"


def unset(access: Access) -> str:
    """What to do where its keys are named and none is set; empty where it may well work."""
    if not access.named or access.login or _keys(access):
        return ""
    return f"none of the agent's `secrets` is set: set {' or '.join(access.named)}"


def advice(cause: Cause, access: Access) -> str:
    match cause:
        case Cause.CREDIT:
            return _CREDIT
        case Cause.KEY | Cause.RIGHT:
            return _of_key(cause, access)
        case Cause.REGION:
            return _REGION
        case Cause.MODEL:
            address, where = _address(access)
            return f"correct the agent's `model`{f', or {where} ({address})' if address else ''}"
        case Cause.UNREACHED:
            address, where = _address(access)
            if address:
                return f"nobody answers at {address}: is it up, and is {where} right?"
            return "its provider cannot be reached: is the network up, and does no proxy or firewall block it?"
        case Cause.OTHER:
            return ""


def too_old(program: str, version: str, line: str) -> str:
    """Of a program that does not know a flag of ours, which it said in `line`."""
    row = _row(program)
    named = f"{program} {version or 'of a version that it does not tell'}"
    if row is not None and is_older(version, row.tested):
        return f"{named} is too old: install {row.tested} or newer; it said: {line[:200]}"
    wanted = f": install {row.tested}, which is tested" if row is not None else ""
    return f"{named} does not know what it was started with{wanted}; it said: {line[:200]}"


def _of_key(cause: Cause, access: Access) -> str:
    keys = _keys(access)
    if not keys and access.login:
        return f"the login of {access.program} was refused: log in with it again, {_RESUME}"
    if not keys:
        return f"it has no key: name one under the agent's `secrets`{', or lend a login' * (access.login is False)}"
    if cause is Cause.RIGHT:
        return f"the key in {' or '.join(keys)} has no right to this: allow it there or set another, {_RESUME}"
    return f"the key in {' or '.join(keys)} was refused: set a valid one, {_RESUME}"


def _keys(access: Access) -> tuple[str, ...]:
    """Those that are set: of what is named, and what the program takes beside; its own before others."""
    own = key_names(access.program)
    found = [name for name in dict.fromkeys((*access.named, *own)) if access.env.get(name)]
    return tuple(name for name in found if name in own) or tuple(found)


def _address(access: Access) -> tuple[str, str]:
    """Of the API, and what names it; both empty where it is the provider's own."""
    if access.endpoint:
        return _USER.sub("", access.endpoint), "the agent's `endpoint`"
    row = _row(access.program)
    names = row.env if row is not None else tuple(dict.fromkeys(name for one in PROGRAMS for name in one.env))
    found = next((name for name in names if _ADDRESS.search(name) and access.env.get(name)), "")
    return (_USER.sub("", access.env[found]), found) if found else ("", "")


def _row(program: str) -> Program | None:
    return next((one for one in PROGRAMS if one.name == program), None)

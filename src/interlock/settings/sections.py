"""The settings that are mappings or lists: their shape, and what is wrong with them.

Rule: every mistake is told with the path of its key; a value is built only of what has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class CiSettings:
    """Where `ci` gates ask, the environment variable that holds the token, and how patient they are."""

    endpoint: str = "https://api.github.com"
    token: str = "GITHUB_TOKEN"
    poll_s: float = 15
    grace_s: float = 120


@dataclass(frozen=True, slots=True)
class Section:
    mistakes: Callable[[object], Iterator[str]]
    read: Callable[[Any], Any]


def is_address(value: object) -> bool:
    """https anywhere, http on this machine alone: what is sent carries a token or a signature."""
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL))


def is_variable(value: object) -> bool:
    return isinstance(value, str) and _VARIABLE.fullmatch(value) is not None


def is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 86_400


ADDRESS = "an address that begins with https:// (http:// on this machine alone)"
VARIABLE = "the name of an environment variable"
Known = Mapping[str, tuple[Callable[[object], bool], str]]

_CI: Known = MappingProxyType(
    {
        "endpoint": (is_address, ADDRESS),
        "token": (is_variable, VARIABLE),
        "poll_s": (is_seconds, "a number of seconds, at most 86400,"),
        "grace_s": (is_seconds, "a number of seconds, at most 86400,"),
    }
)


def wrong_keys(value: object, known: Known, at: str) -> Iterator[str]:
    """What is wrong with a mapping at `at`."""
    if not isinstance(value, dict):
        yield f"{at}: {value!r} does not fit: a mapping of {', '.join(known)} is needed"
        return
    for name, item in value.items():
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            yield f"{at}.{name}: no such setting: {hint}"
        elif not known[name][0](item):
            yield f"{at}.{name}: {item!r} does not fit: {known[name][1]} is needed"


SECTIONS: Mapping[str, Section] = MappingProxyType(
    {"ci": Section(lambda value: wrong_keys(value, _CI, "ci"), lambda value: CiSettings(**value))}
)

"""Hosts of a network, as a pipeline names them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Host:
    """A name or an address, and a port; 0 stands for those of HTTP and HTTPS."""

    name: str
    port: int = 0


def host_of(text: str) -> Host:
    """The host of `NAME`, `NAME:PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`. Raises ValueError if it is none."""
    if "://" in text:
        raise ValueError(f"{text} has a scheme: write the name alone, such as {urlsplit(text).netloc or 'example.org'}")
    if "*" in text:
        raise ValueError(f"{text} has a wildcard: list each host by its name")
    name, _, port = text.rpartition(":") if re.search(r"(^[^:]*|\]):\d+$", text) else (text, "", "0")
    name = name.removeprefix("[").removesuffix("]").lower().rstrip(".")
    if not (_is_address(name) or _NAME.fullmatch(name)) or int(port) > 65_535:
        raise ValueError(f"{text or 'an empty text'} is not a host: write a name such as example.org, or NAME:PORT")
    return Host(name, int(port))


def is_loopback(name: str) -> bool:
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

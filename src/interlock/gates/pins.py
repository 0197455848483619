"""What a lock file pins: names, versions, where each comes from, and its hashes. Pure.

Rule: a name that was locked keeps its place and, at the same version, its hashes. An address has to be of the package
that it stands for. What is new may come by name from where others came.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from urllib.parse import unquote

from interlock.gates.lock_files import Pin, Unreadable, pins_of

SAID_MAX = 20  # clauses about one file
_EXACT = ("git", "url", "file")  # an address of its own, in place of a registry that is asked for a name


def complaints(path: str, old: bytes | None, new: bytes | None, judges: Callable[[str], bool]) -> Iterator[str]:
    """A clause for each pin of `new` that `old` does not vouch for. `judges` tells of a name whether it judges."""
    try:
        after = pins_of(path, new)
    except Unreadable as error:
        yield f"it cannot be read for what it pins ({error})"
        return
    try:
        before = pins_of(path, old)
    except Unreadable:
        before = ()
    there = set(before)
    said = _said(dict.fromkeys(pin for pin in after if pin not in there), before, judges)
    yield from islice(dict.fromkeys(said), SAID_MAX)


def _said(new: Iterable[Pin], before: tuple[Pin, ...], judges: Callable[[str], bool]) -> Iterator[str]:
    known = _by_name(before)
    for pin in new:
        why = _place(pin, known, before, judges) or _hashes(pin, known[pin.name]) or _address(pin)
        if why:
            yield f"{pin.name} {pin.version[:60]} {why}"


def _by_name(pins: Iterable[Pin]) -> Mapping[str, list[Pin]]:
    found: defaultdict[str, list[Pin]] = defaultdict(list)
    for pin in pins:
        found[pin.name].append(pin)
    return found


def _place(pin: Pin, known: Mapping[str, list[Pin]], before: tuple[Pin, ...], judges: Callable[[str], bool]) -> str:
    """Another package or another place under a name that was there, or an address that nobody used."""
    place = f"would come from {pin.source[:200]}" if pin.source else "would come from the registry"
    if olds := known[pin.name]:
        if all(old.package != pin.package for old in olds):
            return f"would be the package {pin.package}, which it was not before"
        if all(old.source != pin.source for old in olds):
            return f"{place}, which it did not before"
        return ""
    kind = pin.source.partition(":")[0]
    if kind in _EXACT and all(old.source != pin.source for old in before):
        return f"{place}, a place that dependencies did not come from before"
    if kind == "local" and (judges(pin.name) or all(not old.source.startswith("local:") for old in before)):
        return f"{place}, a folder of the checkout"
    return ""


def _hashes(pin: Pin, olds: Iterable[Pin]) -> str:
    for old in olds:
        if (old.version, old.source, old.package) != (pin.version, pin.source, pin.package) or not old.hashes:
            continue
        now = dict(pin.hashes)
        if not now:
            return "has lost its hashes"
        changed = [name for name, value in old.hashes if name in now and now[name] != value]
        gone = [name for name, value in old.hashes if name == value and name not in now]  # hashes without file names
        if changed or gone:
            return "has another hash than before, at the same version"
    return ""


def _address(pin: Pin) -> str:
    """Whether each address that it is fetched from names it."""
    for address in pin.addresses:
        if not (_is_of_npm if pin.of_npm else _is_of_python)(pin, unquote(re.split(r"[#?]", address)[0])):
            return f"would be fetched from {address[:200]}, which is another package"
    return ""


def _is_of_npm(pin: Pin, address: str) -> bool:
    above, marked, file = address.partition("/-/")
    if not marked:  # known by the name in it
        return f"/{pin.package}/" in address
    names = (pin.package.rpartition("/")[2], pin.package)
    return above.endswith(f"/{pin.package}") and file in [f"{name}-{pin.version}.tgz" for name in names]


def _is_of_python(pin: Pin, address: str) -> bool:
    file = re.sub(r"[-_.]+", "-", address.rpartition("/")[2].lower())
    return file.startswith(f"{pin.package}-")

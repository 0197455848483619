"""Lock files: the names, versions, sources and hashes that they pin, in the formats of several programs. Pure.

Rule: a name that was locked keeps its source and, at the same version, its hashes. An address must belong to its
package. A new package may come by name from a source that others came from. A file that cannot be read is a finding; a
format that is not known here is not checked.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

_NPM_NAME = r"(?:@[^@/\s\"']+/)?[^@/\s\"':]+"
_YARN = re.compile(r"^(?![ #\n])(?P<heads>.+?):[ ]*\n(?P<body>(?:[ \t]+.*\n?|[ \t]*\n)*)", re.M)
_YARN_FIELD = re.compile(r"^[ ]{2}[\"']?(version|resolved|resolution|integrity|checksum)[\"']?:?[ ]+(.+?)[ ]*$", re.M)
_PNPM = re.compile(
    rf"^[ ]{{2}}['\"]?/?(?P<name>{_NPM_NAME})[@/](?P<version>[^\n]+?)['\"]?:[ ]*\n[ ]{{4}}resolution:(?P<body>[^\n]*)$",
    re.M,
)
_PNPM_ALIAS = re.compile(rf"^[ ]+['\"]?({_NPM_NAME})['\"]?:[ ]*\n[ ]+specifier:[ ]*['\"]?npm:({_NPM_NAME})@", re.M)


class Unreadable(Exception):
    """The file does not have the format that its name says."""


@dataclass(frozen=True, slots=True)
class Pin:
    """`name` is what it is installed as, `package` what it is; they differ for an alias. `source` is empty for a
    registry, else KIND:ADDRESS with one of the kinds git, url, file, local. `hashes` are pairs of a file and its hash;
    if no file is named, of the hash and itself."""

    name: str
    package: str
    version: str
    source: str = ""
    hashes: tuple[tuple[str, str], ...] = ()
    addresses: tuple[str, ...] = ()
    of_npm: bool = False


def pins_of(path: str, content: bytes | None) -> tuple[Pin, ...]:
    """The pins of a lock file, by its name. Raises Unreadable."""
    name = path.rpartition("/")[2]
    read = _toml if name.startswith("pylock") else _READERS.get(name)
    if read is None or content is None:
        return ()
    try:
        return tuple(read(content.decode("utf-8")))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise Unreadable(" ".join(str(error).split())[:100]) from error


# --- npm, Yarn, pnpm, Bun -----------------------------------------------------------------------------


def _package_lock(text: str) -> Iterator[Pin]:
    content = json.loads(text)
    for place, entry in content.get("packages", {}).items():
        if "node_modules/" in place:
            yield _npm_entry(place.rpartition("node_modules/")[2], entry)
    yield from _nested(content.get("dependencies", {}))


def _nested(entries: Mapping[str, Any]) -> Iterator[Pin]:
    """The format of version 1: packages below packages."""
    for name, entry in entries.items():
        alias = re.fullmatch(rf"npm:({_NPM_NAME})@(.*)", str(entry.get("version", "")))
        yield _npm_entry(name, {**entry, "name": alias[1], "version": alias[2]} if alias else entry)
        yield from _nested(entry.get("dependencies", {}))


def _npm_entry(name: str, entry: Mapping[str, Any]) -> Pin:
    version, address = str(entry.get("version", "")), str(entry.get("resolved", ""))
    if re.match(r"(git|https?|file|github)\b.*:", version):  # in version 1 an address replaces the version
        version, address = "", address or version
    package = name if entry.get("link") else str(entry.get("name", name))
    if entry.get("link") is True:
        return Pin(name, package, version, f"local:{address}", of_npm=True)
    return _of_npm(name, package, version, address, str(entry.get("integrity", "")))


def _of_npm(name: str, package: str, version: str, address: str, integrity: str) -> Pin:
    hashes = tuple((each, each) for each in integrity.split())
    if address.startswith(("http://", "https://")) and not re.search(r"\.git(#|$)", address):
        registry = _registry(package, version, unquote(address))
        source = f"url:{address}" if registry is None else registry
        return Pin(name, package, version, source, hashes, () if registry is None else (address,), of_npm=True)
    kind = "local" if re.match(r"file:(?!.*\.t(ar\.)?gz$)|link:|portal:|workspace:", address) else "file"
    kind = "git" if re.match(r"git\b|github:|ssh:|https?:", address) else kind
    source = f"{kind}:{_without_commit(address)}" if address else ""
    return Pin(name, package, version, source, hashes, of_npm=True)


def _registry(package: str, version: str, address: str) -> str | None:
    """The registry of the address: empty for the usual ones, None if it is no registry."""
    before, marked, _ = address.partition("/-/")
    before = re.sub(r"/(@[^/]+/)?[^/]+$", "", before) if marked else before
    if not marked:  # as GitHub and JSR have them
        before, marked, _ = address.partition(f"/{package}/{version}")
        if not version or not re.search(r"/download$|//npm\.jsr\.io/", before):
            return None
    host = re.sub(r"^https?://", "", before)
    return "" if host in ("registry.npmjs.org", "registry.yarnpkg.com") else f"registry:{host.partition('/~/')[0]}"


def _yarn(text: str) -> Iterator[Pin]:
    """Both formats: `resolved` and `integrity` of the first, `resolution` and `checksum` of the second."""
    count = 0
    for found in _YARN.finditer(text):
        fields = {key: value.strip("\"'") for key, value in _YARN_FIELD.findall(found["body"])}
        count += len(fields.keys() & {"resolved", "resolution"})
        if "version" not in fields or found["heads"] == "__metadata":
            continue
        for head in found["heads"].replace('"', "").replace("'", "").split(","):
            yield from _yarn_pin(head.strip(), fields)
    _all_read(text, r"resolved|resolution", count)


def _yarn_pin(head: str, fields: Mapping[str, str]) -> Iterator[Pin]:
    named = re.fullmatch(rf"({_NPM_NAME})@(.*)", head)
    if not named:
        raise Unreadable(f"{head[:80]!r} is not a name with a range")
    alias = re.match(rf"npm:({_NPM_NAME})@", named[2])
    package = alias[1] if alias else named[1]
    address, integrity = fields.get("resolved", ""), fields.get("integrity", fields.get("checksum", ""))
    if resolution := re.fullmatch(rf"({_NPM_NAME})@(.*)", fields.get("resolution", "")):
        package = resolution[1]
        local = re.match(r"(workspace|link|portal|file):", resolution[2])
        if local:
            integrity = "" if local[1] in ("workspace", "link", "portal") else integrity
        address = "" if resolution[2].startswith(("npm:", "patch:")) else resolution[2]
    yield _of_npm(named[1], package, fields["version"], address, integrity)


def _pnpm(text: str) -> Iterator[Pin]:
    found = list(_PNPM.finditer(text))
    for each in found:
        values = dict(re.findall(r"(\w+):\s*['\"]?([^,'\"}\s]+)", each["body"]))
        address = values.get("tarball", "") or (f"git:{values['repo']}" if "repo" in values else "")
        address = address or (f"link:{values['directory']}" if "directory" in values else "")
        version = re.split(r"[(_]", each["version"])[0]
        yield _of_npm(each["name"], each["name"], version, address, values.get("integrity", ""))
    for name, package in _PNPM_ALIAS.findall(text):
        yield Pin(name, package, "", of_npm=True)
    _all_read(text, "resolution", len(found))


def _bun(text: str) -> Iterator[Pin]:
    content = json.loads(re.sub(r",(?=\s*[}\]])", "", text))
    for key, entry in content.get("packages", {}).items():
        found = re.fullmatch(rf"({_NPM_NAME})@(.*)", entry[0])
        if not found:
            raise Unreadable(f"{key[:80]!r} has no name with a version")
        strings = [each for each in entry[1:] if isinstance(each, str)]
        integrity = next((each for each in strings if re.match(r"sha\d+-", each)), "")
        is_named = not re.match(r"(workspace|file|link|git\S*|github|https?):", found[2])
        address = next((each for each in strings if "://" in each and "/-/" in each), "") if is_named else found[2]
        name = re.search(rf"({_NPM_NAME})$", key)
        yield _of_npm(name[1] if name else key, found[1], found[2] if is_named else "", address, integrity)


def _all_read(text: str, word: str, count: int) -> None:
    """Raises Unreadable if a word that leads to an address is more frequent than the entries that were read."""
    plain = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    if len(re.findall(rf"(?<![\w-])(?:{word})(?=[\"']?(?::|[ ]+[\"']?http))", plain)) > count:
        raise Unreadable("an entry in a format that the program does not write")


# --- Python, Rust, Go ----------------------------------------------------------------------------


def _toml(text: str) -> Iterator[Pin]:
    """uv, Poetry, PDM, pylock and Cargo: tables of packages."""
    content = tomllib.loads(text)
    for entry in (*content.get("package", ()), *content.get("packages", ())):
        name = re.sub(r"[-_.]+", "-", str(entry["name"]).lower())
        listed = [*entry.get("files", ()), *entry.get("wheels", ())]
        listed += [entry[key] for key in ("sdist", "archive") if isinstance(entry.get(key), dict)]
        hashes = [(_file_of(each), str(each.get("hash", each.get("hashes", "")))) for each in listed]
        hashes += [(str(entry["checksum"]),) * 2] if "checksum" in entry else []
        source, version = _source(entry), str(entry.get("version", ""))
        by_name = not source or source.startswith("registry:")
        addresses = tuple(str(each["url"]) for each in listed if "url" in each) if by_name else ()
        yield Pin(name, name, version, source, tuple(sorted(pair for pair in hashes if pair[1])), addresses)


def _file_of(entry: Mapping[str, Any]) -> str:
    named = entry.get("file") or entry.get("name") or entry.get("url") or entry.get("path") or ""
    return str(named).rpartition("/")[2]


def _source(entry: Mapping[str, Any]) -> str:
    source = entry.get("source", {})
    if isinstance(source, str):  # Cargo; an entry without source is a member of the workspace
        return f"git:{_without_commit(source)}" if source.startswith("git+") else f"registry:{source}"
    for key in ("git", "url"):
        if key in source and source.get("type", "url") not in ("legacy", "git"):
            return f"{key}:{_without_commit(str(source[key]))}"
    if source.get("type") in ("git", "legacy"):
        return f"{'git' if source['type'] == 'git' else 'registry'}:{source.get('url')}"
    for key in ("editable", "directory", "virtual", "path"):
        if key in source:
            return f"local:{source[key]}"
    for key in ("vcs", "directory", "archive"):  # pylock
        if isinstance(entry.get(key), dict):
            kind = {"vcs": "git", "directory": "local", "archive": "url"}[key]
            return f"{kind}:{entry[key].get('url', entry[key].get('path', ''))}"
    if entry.get("git") or entry.get("path"):  # PDM
        return f"git:{entry['git']}" if entry.get("git") else f"local:{entry['path']}"
    return f"registry:{source['registry']}" if "registry" in source else ""


def _pipfile(text: str) -> Iterator[Pin]:
    for section, entries in json.loads(text).items():
        for name, entry in entries.items() if not section.startswith("_") else ():
            kind = next((key for key in ("git", "path", "file") if key in entry), "")
            source = f"{'local' if kind == 'path' else kind}:{entry[kind]}" if kind else ""
            hashes = tuple((each, each) for each in entry.get("hashes", ()))
            yield Pin(name.lower(), name.lower(), str(entry.get("version", "")), source, hashes)


def _go_sum(text: str) -> Iterator[Pin]:
    for words in (line.split() for line in text.splitlines()):
        if len(words) == 3:
            yield Pin(words[0], words[0], words[1], "", ((words[1], words[2]),))


def _without_commit(address: str) -> str:
    return re.split(r"[#?]", address)[0]


_READERS: Mapping[str, Callable[[str], Iterator[Pin]]] = MappingProxyType(
    {
        "package-lock.json": _package_lock, "npm-shrinkwrap.json": _package_lock, "yarn.lock": _yarn,
        "pnpm-lock.yaml": _pnpm, "bun.lock": _bun, "uv.lock": _toml, "poetry.lock": _toml, "pdm.lock": _toml,
        "Cargo.lock": _toml, "Pipfile.lock": _pipfile, "go.sum": _go_sum,
    }
)  # fmt: skip


COMPLAINTS_MAX = 20  # clauses about one file
_EXACT = ("git", "url", "file")  # an address of its own, in place of a registry that is asked for a name


def complaints(path: str, old: bytes | None, new: bytes | None, judges: Callable[[str], bool]) -> Iterator[str]:
    """A clause for each suspicious pin that `new` has and `old` has not. `judges`: whether a name is that of a
    judge."""
    try:
        after = pins_of(path, new)
    except Unreadable as error:
        yield f"its pinned versions cannot be read ({error})"
        return
    try:
        before = pins_of(path, old)
    except Unreadable:
        before = ()
    there = set(before)
    found = _complaints(dict.fromkeys(pin for pin in after if pin not in there), before, judges)
    yield from islice(dict.fromkeys(found), COMPLAINTS_MAX)


def _complaints(new: Iterable[Pin], before: tuple[Pin, ...], judges: Callable[[str], bool]) -> Iterator[str]:
    known = _by_name(before)
    for pin in new:
        why = (
            _source_complaint(pin, known, before, judges)
            or _hash_complaint(pin, known[pin.name])
            or _address_complaint(pin)
        )
        if why:
            yield f"{pin.name} {pin.version[:60]} {why}"


def _by_name(pins: Iterable[Pin]) -> Mapping[str, list[Pin]]:
    found: defaultdict[str, list[Pin]] = defaultdict(list)
    for pin in pins:
        found[pin.name].append(pin)
    return found


def _source_complaint(
    pin: Pin, known: Mapping[str, list[Pin]], before: tuple[Pin, ...], judges: Callable[[str], bool]
) -> str:
    """Another package or another source under a known name, or an address that no dependency came from."""
    place = f"would come from {pin.source[:200]}" if pin.source else "would come from the registry"
    if olds := known[pin.name]:
        if all(old.package != pin.package for old in olds):
            return f"would be the package {pin.package}, which it was not before"
        if all(old.source != pin.source for old in olds):
            return f"{place}, which it did not before"
        return ""
    kind = pin.source.partition(":")[0]
    if kind in _EXACT and all(old.source != pin.source for old in before):
        return f"{place}, a source that no dependency used before"
    if kind == "local" and (judges(pin.name) or all(not old.source.startswith("local:") for old in before)):
        return f"{place}, a folder of the checkout"
    return ""


def _hash_complaint(pin: Pin, olds: Iterable[Pin]) -> str:
    for old in olds:
        if (old.version, old.source, old.package) != (pin.version, pin.source, pin.package) or not old.hashes:
            continue
        now = dict(pin.hashes)
        if not now:
            return "has lost its hashes"
        changed = [name for name, value in old.hashes if name in now and now[name] != value]
        gone = [name for name, value in old.hashes if name == value and name not in now]  # hashes without file names
        if changed or gone:
            return "has a different hash than before for the same version"
    return ""


def _address_complaint(pin: Pin) -> str:
    """A complaint about an address that does not name the package."""
    for address in pin.addresses:
        if not (_is_of_npm if pin.of_npm else _is_of_python)(pin, unquote(re.split(r"[#?]", address)[0])):
            return f"would be fetched from {address[:200]}, which is another package"
    return ""


def _is_of_npm(pin: Pin, address: str) -> bool:
    above, marked, file = address.partition("/-/")
    if not marked:  # recognised by the name in it
        return f"/{pin.package}/" in address
    names = (pin.package.rpartition("/")[2], pin.package)
    return above.endswith(f"/{pin.package}") and file in [f"{name}-{pin.version}.tgz" for name in names]


def _is_of_python(pin: Pin, address: str) -> bool:
    file = re.sub(r"[-_.]+", "-", address.rpartition("/")[2].lower())
    return file.startswith(f"{pin.package}-")

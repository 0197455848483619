"""Validates the tree into a model. Rule: what is broken is reported and left out, so that the rest is still checked.

`Where` returns for each path in the tree the place in the file: if the path is not there, the nearest place above it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from interlock.pipelinefile import models
from interlock.pipelinefile.mistakes import nearest
from interlock.pipelinefile.yaml import Mapping, Node, Path, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

    from interlock.pipelinefile.mistakes import Mark, Mistakes

_ROUNDS = 6
_EMPTY_MEANS_SOMETHING = {"equals", "default"}
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of names",
    "model_type": "a mapping",
}
_PARTS: dict[str, type[BaseModel]] = {
    "inputs": models.InputPart, "agents": models.AgentPart, "defaults": models.DefaultsPart,
    "limits": models.LimitsPart, "sandbox": models.SandboxPart, "setup": models.SetupPart, "stages": models.StagePart,
    "produces": models.ArtifactPart,
    "on_reject": models.RulePart, "when": models.WhenPart, "for_each": models.ForEachPart,
    "deliver": models.DeliverPart, "pull_request": models.PullRequestPart,
}  # fmt: skip
_NAMED = {"inputs", "agents", "stages", "produces"}


@dataclass(frozen=True, slots=True)
class Where:
    """Places in the tree by path, such as ("stages", "code", "gates", 0, "run")."""

    root: Mapping
    _indexes: dict[int, dict[str, tuple[Mark, Node]]] = field(default_factory=dict, repr=False, compare=False)

    def value(self, *path: str | int) -> Mark:
        """The place of the value; if it is absent, that of the nearest value above it."""
        node, mark = self._walk(path)
        return node.mark if node else mark

    def key(self, *path: str | int) -> Mark:
        """The place of the key (or list item) itself."""
        return self._walk(path)[1]

    def node(self, *path: str | int) -> Node | None:
        return self._walk(path)[0]

    def has(self, *path: str | int) -> bool:
        return self._walk(path)[0] is not None

    def _walk(self, path: Path) -> tuple[Node | None, Mark]:
        node: Node = self.root
        mark = self.root.mark
        for part in path:
            found = self._step(node, part)
            if found is None:
                return None, mark
            mark, node = found
        return node, mark

    def _step(self, node: Node, part: str | int) -> tuple[Mark, Node] | None:
        if not isinstance(node, Mapping) or not isinstance(part, str):
            return step(node, part)
        index = self._indexes.get(id(node))
        if index is None:
            index = {key.text: (key.mark, value) for key, value in node.entries}
            self._indexes[id(node)] = index
        return index.get(part)


def step(node: Node, part: str | int) -> tuple[Mark, Node] | None:
    """The place and value of one key or item below `node`."""
    if isinstance(node, Mapping) and isinstance(part, str):
        return next(((key.mark, value) for key, value in node.entries if key.text == part), None)
    if isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
        return node.items[part].mark, node.items[part]
    return None


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """The model of the valid parts, their places, and the places of collections that lost a part."""

    file: models.PipelineFile
    where: Where
    broken: frozenset[Mark]
    declared: dict[str, frozenset[str]]  # by section: the names that the user defined, valid or not

    def is_broken(self, *path: str | int) -> bool:
        """Whether a key or item directly in the collection at `path` was left out: then a missing one is no mistake."""
        return bool(self.broken) and self.where.value(*path) in self.broken


def shape(root: Mapping, mistakes: Mistakes) -> ParsedFile | None:
    """Validate the tree. None if nothing valid is left."""
    broken: set[Mark] = set()
    declared, reported = _declared(root), mistakes.places()  # a place that reading has reported is not reported again
    if not root.get("version"):
        mistakes.add(root.mark, "the file has no version", "begin with `version: 1`")
    for empty in list(_empty_keys(root, ())):
        if (mark := Where(root).key(*empty)) not in reported:
            mistakes.add(mark, f"{empty[-1]} has no value", "give it a value, or remove the key")
        root = _without(root, empty, broken)
    for _ in range(_ROUNDS):
        where = Where(root)
        try:
            file = models.file_model().model_validate({"version": 1, **_keys(root, ())})
        except ValidationError as error:
            details = error.errors(include_url=False)
            for detail in details:
                path = _path_in_file(detail["loc"], where)
                if not {where.value(*path), where.key(*path)} & reported:
                    _report(detail, where, mistakes, broken)
            places = {_path_in_file(detail["loc"], where) for detail in details}
            if () in places:
                return None
            for path in sorted(places, key=_deepest_and_last_first):
                root = _without(root, path, broken)
        else:
            return ParsedFile(file, where, frozenset(broken), declared)
    return None


def _declared(root: Mapping) -> dict[str, frozenset[str]]:
    sections = ((key.text, node) for key, node in root.entries if key.text in _NAMED)
    return {
        name: frozenset(key.text for key, _ in node.entries) for name, node in sections if isinstance(node, Mapping)
    }


def _empty_keys(node: Node, path: Path) -> Iterator[Path]:
    """Keys without a value. They are found here because a model cannot distinguish them from absent ones."""
    if isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield from _empty_keys(item, (*path, index))
    if isinstance(node, Mapping):
        for key, value in node.entries:
            below = (*path, key.text)
            if isinstance(value, Scalar) and value.value is None and key.text not in _EMPTY_MEANS_SOMETHING:
                yield below
            elif not _is_own_key(below):
                yield from _empty_keys(value, below)


def _is_own_key(path: Path) -> bool:
    """Whether the key is the user's own (`x-...`) or an option of an adapter."""
    key = path[-1]
    own = isinstance(key, str) and key.startswith("x-") and not _is_own_name(path, len(path) - 1)
    return own or (len(path) == 3 and path[0] == "agents" and key not in models.AgentPart.model_fields)


def _keys(node: Mapping, path: Path) -> dict[str, object]:
    return {
        key.text: _data(value, (*path, key.text))
        for key, value in node.entries
        if not (key.text.startswith("x-") and _is_own_key((*path, key.text)))
    }


def _data(node: Node, path: Path) -> object:
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [_data(item, (*path, index)) for index, item in enumerate(node.items)]
        case Mapping():
            return _keys(node, path)


def _deepest_and_last_first(path: Path) -> tuple[int, str]:
    return -len(path), "".join(chr(0x10FFFF - part) if isinstance(part, int) else part for part in path)


def _without(root: Mapping, path: Path, broken: set[Mark]) -> Mapping:
    """The tree without what is at `path`. Its owner is added to `broken`."""
    owner = Where(root).node(*path[:-1])
    if owner is None:
        return root
    broken.add(owner.mark)
    if isinstance(owner, Sequence) and (above := Where(root).node(*path[:-2])):
        broken.add(above.mark)
    pruned = _cut(root, path)
    return pruned if isinstance(pruned, Mapping) else root


def _cut(node: Node, path: Path) -> Node | None:
    part, below = path[0], path[1:]
    if isinstance(node, Mapping):
        cut = (
            (key, _cut(value, below) if below else None) if key.text == part else (key, value)
            for key, value in node.entries
        )
        return Mapping(tuple((key, value) for key, value in cut if value is not None), node.mark)
    if isinstance(node, Sequence):
        items = (
            (_cut(item, below) if below else None) if index == part else item for index, item in enumerate(node.items)
        )
        return Sequence(tuple(item for item in items if item is not None), node.mark)
    return node


def _report(detail: ErrorDetails, where: Where, mistakes: Mistakes, broken: set[Mark]) -> None:
    path, kind = _path_in_file(detail["loc"], where), detail["type"]
    name = str(detail["loc"][-1]) if detail["loc"] else ""
    if kind == "missing":
        if where.value(*path) not in broken:
            mistakes.add(where.key(*path), f"{_owner(path)} has no {name}", f"add {name}")
    elif kind == "extra_forbidden":
        mistakes.add(where.key(*path), f"unknown key {name}", nearest(name, _known_keys(path)))
    elif kind == "too_short" and where.value(*path) in broken:
        return  # what was in it is already reported
    elif kind == "mistake":
        mistakes.add(where.value(*path), *_mistake(detail))
    elif kind == "mistakes":
        for index, what, hint in detail["ctx"]["items"]:
            mistakes.add(where.value(*path, index), what, hint)
    else:
        mistakes.add(where.value(*path), *_message_of(detail, path))


def _path_in_file(loc: tuple[str | int, ...], where: Where) -> Path:
    """The part of pydantic's path that exists in the file."""
    path: list[str | int] = []
    node: Node = where.root
    for part in loc:
        found = step(node, part)
        if found is None:
            break
        path.append(part)
        node = found[1]
    return tuple(path)


def _owner(path: Path) -> str:
    names = [part if isinstance(part, str) else f"[{part + 1}]" for part in path]
    return ".".join(names).replace(".[", "[") or "the file"


def _mistake(detail: ErrorDetails) -> tuple[str, str]:
    context = detail.get("ctx", {})
    return str(context["what"]), str(context["hint"])


def _message_of(detail: ErrorDetails, path: Path) -> tuple[str, str]:
    """Pydantic's error as a message and a hint."""
    context, kind = detail.get("ctx", {}), detail["type"]
    name = _owner(path[-2:] if path and isinstance(path[-1], int) else path[-1:])
    if kind in _EXPECTED:
        return f"{name} is {_describe(detail['input'])}, not {_EXPECTED[kind]}", _wanted(kind, detail["input"], name)
    if kind == "literal_error":
        known = re.findall(r"'([^']+)'|(\d+)", str(context["expected"]))
        words = [text or number for text, number in known]
        return f"{name} is {_describe(detail['input'])}", nearest(str(detail["input"]), words)
    if kind in ("greater_than_equal", "greater_than"):
        least = context.get("ge", context.get("gt"))
        relation = "at least" if "ge" in context else "more than"
        return f"{name} is {_describe(detail['input'])}", f"it has to be {relation} {least:g}"
    if kind == "less_than_equal":
        return f"{name} is {_describe(detail['input'])}", f"it can be {context['le']} at most"
    if kind == "too_short":
        return f"{name} is empty", "name at least one"
    return f"{name} is wrong", detail["msg"]


def _describe(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str() if len(value) > 60 or "\n" in value:
            return "text"
        case str():
            return f'the text "{value}"'
        case _:
            return str(value)


def _wanted(kind: str, value: object, name: str) -> str:
    if kind == "string_type" and isinstance(value, int | float):
        return f'put it in quotes: "{_describe(value)}"'
    if kind == "int_type" and isinstance(value, str) and value.isdigit():
        return f"remove the quotes: {value}"
    if kind == "bool_type" and isinstance(value, str):
        return "write true or false, without quotes"
    if kind == "list_type" and isinstance(value, str):
        return f"write it as a list: [{value}]"
    if kind == "model_type" and isinstance(value, str) and re.fullmatch(r"[\w-]+:\S.*", value):
        return "put a space after the colon"
    if name == "deliver":
        return "write {branch: NAME}; accepted work is always delivered as a new branch"
    return f"write {_EXPECTED[kind]}"


def _known_keys(path: Path) -> list[str]:
    part = _part(path[:-1])
    return [field.alias or name for name, field in part.model_fields.items()]


def _part(path: Path) -> type[BaseModel]:
    """The model of the mapping at `path`."""
    named = [part for index, part in enumerate(path) if isinstance(part, str) and not _is_own_name(path, index)]
    if not named:
        return models.PipelineFile
    return models.part_at(named) or _PARTS.get(named[-1], models.PipelineFile)


def _is_own_name(path: Path, index: int) -> bool:
    """Whether the part at `index` is a name that the user chose, such as that of a stage."""
    return index > 0 and path[index - 1] in _NAMED and not _is_own_name(path, index - 1)

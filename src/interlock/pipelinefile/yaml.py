"""YAML text to a tree of values with places. Rule: what two YAML readers take differently is a mistake.

Only plain data of YAML 1.2's core schema passes: no tags, no merge keys, no second document, keys are
text, and aliases are bounded by what they expand to. The tree is built from libyaml's events with a stack of its
own, so that neither deep nesting nor an alias can exhaust anything.
`Where` tells for each path in the tree where it was written: always an answer, if only the nearest one above.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import yaml

from interlock.pipelinefile.mistakes import InvalidPipeline, Mark, Mistake, Mistakes
from interlock.pipelinefile.scalars import Value, explain_syntax, flow_pair_trap, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

BYTES_MAX = 1_000_000
VALUES_MAX = 50_000  # after aliases are expanded
DEPTH_MAX = 30
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Scalar:
    value: Value
    mark: Mark
    text: str = ""  # as written, quotes and escapes undone
    style: str = ""  # "" plain, ' " | >


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Mapping:
    entries: tuple[tuple[Scalar, Node], ...]
    mark: Mark

    def get(self, key: str) -> Node | None:
        return next((node for known, node in self.entries if known.text == key), None)

    def key(self, key: str) -> Mark | None:
        return next((known.mark for known, _ in self.entries if known.text == key), None)


Node: TypeAlias = Scalar | Sequence | Mapping


@dataclass(slots=True)
class _Open:
    """A collection that is being read."""

    event: yaml.CollectionStartEvent
    mark: Mark
    index: int  # where it begins in the text
    before: int  # values counted when it began
    items: list[Node]


def read_yaml(content: bytes, file: str, mistakes: Mistakes) -> Node:
    """The tree of `content`. Raises InvalidPipeline where it cannot be read at all; whatever can be
    read around is added to `mistakes`."""
    text = decode(content, file)
    builder = _Builder(file, text, mistakes)
    try:
        for event in _events(text):
            builder.take(event)
    except yaml.YAMLError as error:
        line, column, message, hint = explain_syntax(error, text)
        raise InvalidPipeline((Mistake(file, line, column, message, hint),)) from None
    return builder.root or Scalar(None, Mark(file))


def decode(content: bytes, file: str) -> str:
    """UTF-8 text of bounded size. Raises InvalidPipeline."""
    if len(content) > BYTES_MAX:
        raise _unreadable(Mark(file), f"the file has {len(content):,} bytes", f"at most {BYTES_MAX:,} are read")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(
            _mark_at(file, content[: error.start]), "this is not UTF-8", "save the file as UTF-8"
        ) from None
    if found := _CONTROL.search(text):
        what = f"the control character U+{ord(found.group()):04X}"
        raise _unreadable(_mark_at(file, text[: found.start()].encode()), what, "take it out")
    return text


def plain(node: Node) -> object:
    """The tree as dicts, lists and scalars."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [plain(item) for item in node.items]
        case Mapping():
            return {key.text: plain(value) for key, value in node.entries}


def _unreadable(mark: Mark, message: str, hint: str) -> InvalidPipeline:
    return InvalidPipeline((Mistake(mark.file, mark.line, mark.column, message, hint),))


def _mark_at(file: str, before: bytes) -> Mark:
    last = before.rpartition(b"\n")[2]
    return Mark(file, before.count(b"\n") + 1, len(last.decode("utf-8", "replace")) + 1)


def _events(text: str) -> Iterator[yaml.Event]:
    loader = _Loader(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


class _Builder:
    """Holds the stack of open collections. Rule: every bound is checked before anything is built."""

    def __init__(self, file: str, text: str, mistakes: Mistakes) -> None:
        self.root: Node | None = None
        self._file, self._text, self._mistakes = file, text, mistakes
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._pending: set[str] = set()
        self._count = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._document(event)
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.CollectionStartEvent():
                self._open(event)
            case yaml.CollectionEndEvent():
                self._close()
            case _:
                pass  # where a stream or a document ends

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            raise _unreadable(self._mark(event), "a second document begins here", "one file holds one pipeline")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._refuse_tag(event)
        mark = self._mark(event)
        style = event.style if event.style in ("'", '"', "|", ">") else ""
        value: Value = event.value
        if not style:
            value, wrong = resolve(event.value)
            if wrong:
                self._mistakes.add(mark, *wrong)
        self._grow(1, mark)
        self._put(Scalar(value, mark, event.value, style), event.anchor, 1)

    def _alias(self, event: yaml.AliasEvent) -> None:
        mark, name = self._mark(event), event.anchor
        if name in self._pending:
            raise _unreadable(mark, f"*{name} stands inside what it names", "a value cannot contain itself")
        if name not in self._anchors:
            hint = f"name a value with &{name} above it, or put text that begins with * in quotes"
            raise _unreadable(mark, f"nothing is named &{name}", hint)
        node, size = self._anchors[name]
        self._grow(size, mark)
        self._put(node, None, size)

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        self._refuse_tag(event)
        mark = self._mark(event)
        if len(self._stack) >= DEPTH_MAX:
            raise _unreadable(mark, f"more than {DEPTH_MAX} levels of nesting", "a pipeline needs fewer than ten")
        if event.anchor:
            self._pending.add(event.anchor)
        self._stack.append(_Open(event, mark, event.start_mark.index if event.start_mark else 0, self._count, []))
        self._grow(1, mark)

    def _close(self) -> None:
        done = self._stack.pop()
        if isinstance(done.event, yaml.MappingStartEvent):
            self._check_flow(done)
            node: Node = Mapping(self._entries(done.items), done.mark)
        else:
            node = Sequence(tuple(done.items), done.mark)
        self._pending.discard(done.event.anchor or "")
        self._put(node, done.event.anchor, self._count - done.before)

    def _entries(self, items: list[Node]) -> tuple[tuple[Scalar, Node], ...]:
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[str, int] = {}
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, Scalar) or not self._is_text(key):
                continue
            if key.text in seen:
                hint = f"the first is on line {seen[key.text]}, keep one of them"
                self._mistakes.add(key.mark, f"the key {key.text} is there twice", hint)
                continue
            seen[key.text] = key.mark.line
            entries.append((key, value))
        return tuple(entries)

    def _is_text(self, key: Scalar) -> bool:
        if key.text == "<<" and not key.style:
            hint = "write the keys out, or put what is common into `defaults`"
            self._mistakes.add(key.mark, "merge keys (<<) are no part of YAML 1.2", hint)
            return False
        if not isinstance(key.value, str):
            self._mistakes.add(key.mark, f"the key {key.text or 'null'} is not text", "put it in quotes")
            return False
        return True

    def _check_flow(self, done: _Open) -> None:
        """Brackets and braces that mean something else than they look like."""
        if not done.event.flow_style:
            return
        start = done.index
        braced = self._text[start : start + 1] == "{"
        if braced and self._text[start - 1 : start] == "{":
            return  # the inner one of {{ }}: the outer one tells
        for key, value in zip(done.items[::2], done.items[1::2], strict=True):
            trap = flow_pair_trap(
                braced,
                key.text if isinstance(key, Scalar) else None,
                isinstance(value, Scalar) and value.text == "" and not value.style,
            )
            if trap:
                self._mistakes.add(key.mark if isinstance(key, Scalar) else done.mark, *trap)

    def _put(self, node: Node, anchor: str | None, size: int) -> None:
        if anchor:
            self._anchors[anchor] = (node, size)
        if self._stack:
            self._stack[-1].items.append(node)
        else:
            self.root = node

    def _grow(self, size: int, mark: Mark) -> None:
        self._count += size
        if self._count > VALUES_MAX:
            raise _unreadable(mark, f"the file expands to more than {VALUES_MAX:,} values", "use fewer aliases")

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            hint = "take it out, or put text that begins with ! in quotes"
            self._mistakes.add(self._mark(event), f"the tag {event.tag} is not used here", hint)

    def _mark(self, event: yaml.Event) -> Mark:
        at = event.start_mark
        return Mark(self._file, at.line + 1, at.column + 1) if at else Mark(self._file)


Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Where:
    """The tree, asked by path such as ("stages", "code", "gates", 0, "run")."""

    root: Mapping
    _indexes: dict[int, dict[str, tuple[Mark, Node]]] = field(default_factory=dict, repr=False, compare=False)

    def value(self, *path: str | int) -> Mark:
        """The value's place; that of the nearest thing above it where it is not there."""
        node, mark = self._walk(path)
        return node.mark if node else mark

    def key(self, *path: str | int) -> Mark:
        """The place of the key (or item) itself."""
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

"""YAML text to a tree of values with places. Rule: what two YAML readers would read differently is a mistake.

Only plain data of YAML 1.2's core schema passes: no tags, no merge keys, no second document, keys are text, and aliases
are bounded by what they expand to. The tree is built from libyaml's events with a stack of our own, so neither deep
nesting nor an alias can exhaust anything. A syntax error names the cause that the offending line suggests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import yaml

from interlock.pipelinefile.mistakes import InvalidPipeline, Mark, Mistake, Mistakes

if TYPE_CHECKING:
    from collections.abc import Iterator

Value: TypeAlias = str | int | float | bool | None
Complaint: TypeAlias = tuple[str, str]  # what is wrong, what would be right
Path: TypeAlias = tuple[str | int, ...]

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
class _OpenCollection:
    """A collection whose end has not been read yet."""

    event: yaml.CollectionStartEvent
    mark: Mark
    index: int  # where it begins in the text
    before: int  # values counted when it began
    items: list[Node]


def read_yaml(content: bytes, file: str, mistakes: Mistakes) -> Node:
    """The tree of `content`. Raises InvalidPipeline if it cannot be read at all; all other mistakes are added to
    `mistakes`."""
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
        raise _unreadable(_mark_at(file, text[: found.start()].encode()), what, "remove it")
    return text


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
    """Builds the tree with a stack of open collections. Rule: every bound is checked before anything is built."""

    def __init__(self, file: str, text: str, mistakes: Mistakes) -> None:
        self.root: Node | None = None
        self._file, self._text, self._mistakes = file, text, mistakes
        self._stack: list[_OpenCollection] = []
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
                pass  # the start of the stream, or the end of it or of a document

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
            value, wrong = resolve_scalar(event.value)
            if wrong:
                self._mistakes.add(mark, *wrong)
        self._grow(1, mark)
        self._put(Scalar(value, mark, event.value, style), event.anchor, 1)

    def _alias(self, event: yaml.AliasEvent) -> None:
        mark, name = self._mark(event), event.anchor
        if name in self._pending:
            raise _unreadable(mark, f"*{name} is inside the value that it refers to", "a value cannot contain itself")
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
        self._stack.append(
            _OpenCollection(event, mark, event.start_mark.index if event.start_mark else 0, self._count, [])
        )
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
                hint = f"the first is on line {seen[key.text]}: keep one of them"
                self._mistakes.add(key.mark, f"the key {key.text} occurs twice", hint)
                continue
            seen[key.text] = key.mark.line
            entries.append((key, value))
        return tuple(entries)

    def _is_text(self, key: Scalar) -> bool:
        if key.text == "<<" and not key.style:
            hint = "write the keys out, or put what is common into `defaults`"
            self._mistakes.add(key.mark, "merge keys (<<) are not part of YAML 1.2", hint)
            return False
        if not isinstance(key.value, str):
            self._mistakes.add(key.mark, f"the key {key.text or 'null'} is not text", "put it in quotes")
            return False
        return True

    def _check_flow(self, done: _OpenCollection) -> None:
        """Report brackets and braces that YAML reads differently than they look."""
        if not done.event.flow_style:
            return
        start = done.index
        braced = self._text[start : start + 1] == "{"
        if braced and self._text[start - 1 : start] == "{":
            return  # the inner pair of {{ }}: the outer one is reported
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
            hint = "remove it, or put text that begins with ! in quotes"
            self._mistakes.add(self._mark(event), f"the tag {event.tag} is not supported", hint)

    def _mark(self, event: yaml.Event) -> Mark:
        at = event.start_mark
        return Mark(self._file, at.line + 1, at.column + 1) if at else Mark(self._file)


_WORDS: dict[str, Value] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_SWITCHES = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+")
_OCTAL = re.compile(r"[-+]?0o?[0-7]+")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_UNDERSCORED = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?")
_OTHER_NUMBER = re.compile(
    r"[-+]?(0x[0-9a-fA-F_]+|0b[01_]+|0[0-9]+|[0-9]*\.?[0-9]*[eE][-+]?[0-9]+|[0-9]+\.|\.[0-9]+|[0-9]{19,})"
)
_ODD_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def resolve_scalar(text: str) -> tuple[Value, Complaint | None]:
    """The value of a plain scalar, and the complaint about its spelling, if any."""
    if text in _WORDS:
        return _WORDS[text], None
    if text.lower() in _SWITCHES:
        return _switch(text)
    if not (text[0].isdigit() or text[0] in "+-."):
        return text, None
    if _INTEGER.fullmatch(text):
        return int(text), None
    if _FLOAT.fullmatch(text):
        return float(text), None
    return _odd_number(text)


def _switch(text: str) -> tuple[Value, Complaint]:
    meant = _SWITCHES[text.lower()]
    what = f"{text} is {meant} to some YAML readers and text to others"
    return meant == "true", (what, f'write {meant}, or "{text}" in quotes')


def _odd_number(text: str) -> tuple[Value, Complaint | None]:
    if _OCTAL.fullmatch(text):
        value = int(text.replace("o", ""), 8)
        return value, (f"{text} is {value} to some YAML readers", f'write {value}, or "{text}" in quotes')
    if _SEXAGESIMAL.fullmatch(text):
        what = f"{text} is a number to the base of 60 to some YAML readers"
        return text, (what, f'write a duration as 90s, 30m or 4h, or "{text}" in quotes')
    if _UNDERSCORED.fullmatch(text):
        digits = text.replace("_", "")
        return _number(digits), (f"{text} is a number to some YAML readers and text to others", f"write {digits}")
    if _OTHER_NUMBER.fullmatch(text) or _ODD_FLOAT.fullmatch(text):
        return text, (f"{text} is an odd way to write a number", f'use plain decimal digits, or "{text}" in quotes')
    return text, None


def _number(digits: str) -> Value:
    try:
        return int(digits)
    except ValueError:
        return float(digits)


_QUOTE = "put the text in quotes"


def explain_syntax(error: yaml.YAMLError, text: str) -> tuple[int, int, str, str]:
    """Line and column of the error (from 1), what is wrong, and what would be right."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return 1, 1, f"this is not YAML ({error})", "see https://yaml.org"
    mark = error.problem_mark or error.context_mark
    if error.context_mark and "quoted scalar" in (error.context or ""):
        mark = error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.splitlines() or [""]
    problem = error.problem or error.context or "it cannot be read"
    if line >= len(lines):
        line, column = len(lines) - 1, len(lines[-1])
    return line + 1, column + 1, f"this is not YAML ({problem})", _hint(error, lines, line)


def flow_pair_trap(braced: bool, key: str | None, bare: bool) -> tuple[str, str] | None:
    """The complaint about one pair inside braces or brackets. `key` is None if it is not text; `bare`: it has no
    value."""
    if key is None:
        return "braces in braces are a mapping to YAML", "put text with {{ }} in quotes"
    if not braced:
        return f"{key}: inside brackets makes a mapping of this item", "put the item in quotes, or in braces"
    if bare and ":" in key:
        name, _, rest = key.partition(":")
        return f"{key} is a key without a value", f"put a space after the colon: {name}: {rest}"
    if bare:
        return f"{key} is a key without a value", "write a list in brackets, or give it a value"
    return None


def _hint(error: yaml.MarkedYAMLError, lines: list[str], line: int) -> str:
    problem = error.problem or ""
    begun = error.context_mark.line if error.context_mark else line
    here = lines[line] if line < len(lines) else ""
    if "\t" in here[: len(here) - len(here.lstrip())] or "'\\t'" in problem:
        return "a tab cannot indent in YAML, use spaces"
    if any(re.search(r"(^|[:\-\[,])\s*\{\{", candidate) for candidate in {here, *lines[begun : begun + 1]}):
        return "put text with {{ }} in quotes"
    above = lines[line - 1] if line else ""
    if "mapping values are not allowed" in problem and re.match(r"\s*(- )?[\w-]+:[^\s/]\S*\s*$", above):
        return f"put a space after the colon on line {line}"
    return _hint_by_problem(problem, error.context or "", here, begun)


def _hint_by_problem(problem: str, context: str, here: str, begun: int) -> str:
    if "flow node" in context:
        return "close the bracket or brace that is open, and put commas between its items"
    if "mapping values are not allowed" in problem:
        return f"{_QUOTE} if it holds a colon and a space, or check the indentation"
    if "alias" in context or "alias" in problem:
        return "put text that begins with * in quotes, such as '*.py'"
    if "anchor" in context or "anchor" in problem:
        return "put text that begins with & in quotes"
    if "cannot start any token" in problem:
        return "put text that begins with @, ` or % in quotes"
    if "quoted scalar" in context:
        return f"close the quotes that begin on line {begun + 1}"
    if "flow" in context:
        closing = "bracket" if "sequence" in context else "brace"
        return f"close the {closing} that opens on line {begun + 1}, and put commas between its items"
    if "simple key" in context or "could not find expected ':'" in problem:
        return "put a colon and a space after the key"
    if "tag" in context or "tag" in problem:
        return "put text that begins with ! in quotes"
    if here.lstrip().startswith("- "):
        return "indent the items of a list alike"
    return "indent keys that belong together alike, and check the line above"

"""Imports that name more than before, however a formatter wraps them. Pure.

Rule: only from one place, all that was named before, and of the kinds that are known: `from x import a`,
`import a, { b } from 'x'`, `const { a } = require('x')`, `use x::{a, b}`. A comment behind one says nothing.
"""

from __future__ import annotations

import re

_WRAPPED = {
    "py": re.compile(r"^[ \t]*from [\w.]+ import \((?:[\w\s,]|#[^\n]*\n)*\)[ \t]*(?:#[^\n]*)?\r?$", re.M),
    "js": re.compile(
        r"^[ \t]*(?:import\s[\w$\s,]*\{[\w$\s,]*\}\s*from\s*(['\"])[^'\"\n]+\1"
        r"|(?:const|let|var)\s*\{[\w$\s,:]*\}\s*=\s*(?:require|await import)\([^()\n]*\));?[ \t]*\r?$",
        re.M,
    ),
    "rs": re.compile(r"^[ \t]*use\s+(?:\w+::)+\{[\w\s,:]*\};[ \t]*\r?$", re.M),
}
_KINDS = {"py": "py", "rs": "rs", "js": "js", "ts": "js", "jsx": "js", "tsx": "js", "mjs": "js", "cjs": "js",
          "mts": "js", "cts": "js"}  # fmt: skip
_NAMES = re.compile(r"[\w$]+(?:(?:::| as |: ?)[\w$]+)*")
_FROM = re.compile(r"(\s*)from ([\w.]+) import ([\w ,]+?) *(?:#.*)?")
_IMPORT = re.compile(r"(\s*import(?: type)?) (?:([\w$]+)(?:, |(?= from)))?(?:\{([\w$ ,]+)\})? ?(from .+?);?")
_REQUIRE = re.compile(r"(\s*(?:const|let|var)) \{([\w$: ,]+)\} (= (?:require|await import)\(.+?);?")
_USE = re.compile(r"(\s*)use ((\w+)::(?:\w+::)*)(?:\{([\w:, ]+)\}|(\w+(?: as \w+)?));")


def joined(path: str, content: bytes) -> bytes:
    """The content with each import that is wrapped on one line."""
    pattern = _WRAPPED.get(_KINDS.get(path.rpartition(".")[2], ""))
    if pattern is None:
        return content
    text = content.decode("utf-8", "surrogateescape")
    return pattern.sub(lambda found: _on_one_line(found[0]), text).encode("utf-8", "surrogateescape")


def names_more(line: bytes, other: bytes) -> bool:
    """Whether both import from one place, and the other all that the line does."""
    if not any(word in line for word in (b"import", b"require", b"use ")):
        return False
    before, after = _named(_text(line)), _named(_text(other))
    return before is not None and after is not None and before[0] == after[0] and before[1] <= after[1]


def _on_one_line(text: str) -> str:
    indent = text[: len(text) - len(text.lstrip(" \t"))]
    plain = re.sub(r"#[^\n]*", "", text) if text.lstrip().startswith("from") else text
    flat = re.sub(r",? *([})])", r" \1", " ".join(plain.split()))
    flat = re.sub(r"^(from [\w.]+ import) \( ?(.*?) ?\)$", r"\1 \2", flat)
    return indent + re.sub(r"\{ ?", "{ ", flat).replace("::{ ", "::{").replace(" };", "};")


def _named(text: str) -> tuple[tuple[str, ...], frozenset[str]] | None:
    """From where, and what; None of what is no such import."""
    if found := _FROM.fullmatch(text):
        return (found[1], found[2]), frozenset(_NAMES.findall(found[3]))
    if found := _IMPORT.fullmatch(text):
        names = {f"default {found[2]}"} if found[2] else set()
        return (found[1], found[4]), frozenset(names | set(_NAMES.findall(found[3] or "")))
    if found := _REQUIRE.fullmatch(text):
        return (found[1], found[3]), frozenset(_NAMES.findall(found[2]))
    if found := _USE.fullmatch(text):
        each = _NAMES.findall(found[4] or found[5])
        return (found[1], "use", found[3]), frozenset(found[2] + name for name in each)
    return None


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape").removesuffix("\r")

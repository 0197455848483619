"""Plain scalars by YAML 1.2's core schema. Rule: a spelling that YAML 1.1 reads as something else is refused.
Beside it stands why YAML refused a file, in words that mend it: guessed from the offending line, never from the parser
alone.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import yaml

Value: TypeAlias = str | int | float | bool | None
Wrong: TypeAlias = tuple[str, str]  # what is wrong, what would be right

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


def resolve(text: str) -> tuple[Value, Wrong | None]:
    """The value of a plain scalar, and what is wrong with its spelling."""
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


def _switch(text: str) -> tuple[Value, Wrong]:
    meant = _SWITCHES[text.lower()]
    what = f"{text} is {meant} to some YAML readers and text to others"
    return meant == "true", (what, f'write {meant}, or "{text}" in quotes')


def _odd_number(text: str) -> tuple[Value, Wrong | None]:
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
    """Line and column from 1, what is wrong, and what would be right."""
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
    """What is odd about one pair inside braces or brackets. `key` is None where it is no text, `bare`
    where no value was written."""
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

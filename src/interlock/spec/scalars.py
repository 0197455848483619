"""Plain scalars by YAML 1.2's core schema. Rule: a spelling that YAML 1.1 reads as something else is refused."""

from __future__ import annotations

import re
from typing import TypeAlias

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

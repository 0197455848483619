"""Text that somebody else chose, made safe to store, to show and to feed back. Pure.

Rule: escape sequences, control characters and marks that hide or reorder text go; a line that a build
service would take for a command of its own (`::error`) is marked as a quotation.
"""

from __future__ import annotations

import re

_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]?")
# Control characters; surrogates; marks that reorder or hide text.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_COMMAND = re.compile(r"^(?=\s*(?:::|##\[|##vso\[|##teamcity\[))", re.MULTILINE)


def plain(text: str, limit: int) -> str:
    """`text` without what is not to be shown, at most `limit` characters (20 or more): of a longer one its two ends."""
    text = text[: limit * 40].replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROL.sub(_shown, _ESCAPES.sub("", text))
    text = _COMMAND.sub("| ", text).strip("\n")
    if len(text) <= limit:
        return text
    head = limit // 2
    return f"{_to_line(text[:head])}\n[...]\n{_from_line(text[-(limit - head - 8) :])}"


def _to_line(text: str) -> str:
    """Without the begun line at the end, where the lines are not long."""
    end = text.rfind("\n")
    return text[:end] if end > len(text) // 2 else text


def _from_line(text: str) -> str:
    begin = text.find("\n") + 1
    return text[begin:] if 0 < begin < len(text) // 2 else text


def without_place(message: str, file: str, line: int) -> str:
    """A finding's message for who names the place beside it."""
    for place in (f"{file}:{line}", file):
        if file and message.startswith(f"{place}: "):
            return message.removeprefix(f"{place}: ")
    return message


def ending(output: bytes, limit: int) -> str:
    """The useful end of a program's output: its last lines that are not blank, as plain text."""
    text = plain(output[-limit * 4 :].decode("utf-8", "replace"), limit * 4)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    left = limit + 1
    kept = len(lines)
    while kept and len(lines[kept - 1]) + 1 <= left:
        kept -= 1
        left -= len(lines[kept]) + 1
    return "\n".join(lines[kept:] if kept < len(lines) else lines[-1:])[-limit:]


def _shown(match: re.Match[str]) -> str:
    """Bytes that are no UTF-8 (as surrogates in file names) stay readable; the rest goes."""
    char = match.group()
    return f"\\x{ord(char) - 0xDC00:02x}" if "\udc80" <= char <= "\udcff" else ""

"""Finding a reviewer's answer in the text that it ended with.

Rule: the answer is the whole text, or the last thing in it and then marked as the answer to this very question. What
a reviewer quotes of the work has no such mark: nobody who wrote the work could know it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ASKED = "answer with one JSON object and nothing else"
MARK = "mark"
_OPENING = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})[ \t]*(.*)")
_LANGUAGES = ("", "json")


class NoFinal(Exception):
    """There is no answer, or more than one. The text says why."""


@dataclass(frozen=True, slots=True)
class _Last:
    """The last thing in a text, without the fence around it, and what stands before it."""

    before: str
    body: str


def final_object(text: str, mark: str) -> str:
    """The text of the JSON object that is the answer; whether it is one at all is not looked at. Raises NoFinal.

    `mark` is the mark of the question, empty where there is none: then only a whole text counts.
    """
    last = _last(text.replace("\r\n", "\n").removeprefix("\ufeff").strip())
    if not last.body.startswith("{"):
        raise NoFinal(f"it does not end with a JSON object: {ASKED}")
    if not last.before:
        return last.body
    marked = re.compile(rf'"{MARK}"\s*:\s*"{re.escape(mark)}"')
    if not mark or not marked.search(last.body):
        wanted = f', with "{MARK}": "{mark}" in it' if mark else ""
        raise NoFinal(f"there is text before the object, which may be a quotation: {ASKED}{wanted}")
    if marked.search(last.before):
        raise NoFinal(f"there are two answers: {ASKED}")
    return last.body


def _last(text: str) -> _Last:
    """The block that ends the text, or what stands bare behind the last block, from its first line with a brace."""
    lines = text.split("\n")
    blocks = _blocks(lines)
    if blocks and blocks[-1][1] == len(lines) - 1:
        start, end = blocks[-1]
        opened = _OPENING.fullmatch(lines[start])
        if opened is None or opened[2].strip().lower() not in _LANGUAGES:
            return _Last("\n".join(lines[:start]), "")
        return _Last("\n".join(lines[:start]).strip(), "\n".join(lines[start + 1 : end]).strip())
    behind = blocks[-1][1] + 1 if blocks else 0
    start = next((at for at in range(behind, len(lines)) if lines[at].startswith("{")), len(lines))
    return _Last("\n".join(lines[:start]).strip(), "\n".join(lines[start:]))


def _blocks(lines: list[str]) -> list[tuple[int, int]]:
    """First and last line of each fenced block, as CommonMark has them; one without an end goes beyond the text."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(lines):
        opened = _OPENING.fullmatch(lines[at])
        if opened is not None:
            closing = re.compile(rf" {{0,3}}{re.escape(opened[1][0])}{{{len(opened[1])},}}[ \t]*")
            end = next((n for n in range(at + 1, len(lines)) if closing.fullmatch(lines[n])), len(lines))
            found.append((at, end))
            at = end
        at += 1
    return found

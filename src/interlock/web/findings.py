"""Findings as a page shows them: the first lines of a long one, and failures of one parametrized test as one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from interlock.core.events import Finding
from interlock.text.cleaning import plain, without_place
from interlock.web.changes import PlacedFinding

_HEAD_MAX = 3  # lines
_CODE = re.compile(r"^(?:[ \t]+\S|E  |> |Traceback )", re.MULTILINE)
_PARAMETERS = re.compile(r"\[.*\]")


@dataclass(frozen=True, slots=True)
class Message:
    """`rest` are the lines after its first ones. `is_code`: it has blanks that count, as a traceback has."""

    head: str
    rest: str = ""
    is_code: bool = False

    @property
    def more(self) -> int:
        return len(self.rest.splitlines())


@dataclass(frozen=True, slots=True)
class Told:
    """A finding with its number in the verdict, from 1, and those that say the same of other parameters."""

    number: int
    finding: Finding
    others: tuple[tuple[int, Finding], ...] = ()


def message(finding: Finding, most: int) -> Message:
    """What the finding says, at most `most` characters of it."""
    said = plain(without_place(plain(finding.message, 4000), finding.file, finding.line), most)
    lines = said.rstrip().split("\n")
    return Message("\n".join(lines[:_HEAD_MAX]), "\n".join(lines[_HEAD_MAX:]), bool(_CODE.search(said)))


def told(findings: Iterable[Finding]) -> Sequence[Told]:
    """In their order, each with those like it."""
    groups: dict[object, list[tuple[int, Finding]]] = {}
    for number, finding in enumerate(findings, 1):
        groups.setdefault(_kind(number, finding), []).append((number, finding))
    return [Told(*first, tuple(others)) for first, *others in groups.values()]


def grouped(placed: Iterable[PlacedFinding]) -> Sequence[tuple[PlacedFinding, Sequence[PlacedFinding]]]:
    """As `told`, of the findings at one line."""
    every = list(placed)
    return [(every[one.number - 1], [every[number - 1] for number, _ in one.others])
            for one in told(each.finding for each in every)]  # fmt: skip


def _kind(number: int, finding: Finding) -> object:
    """Equal for failures of one test that differ in its parameters."""
    first = finding.message.partition("\n")[0]
    name = _PARAMETERS.sub("[]", first)
    is_one_of_many = "test_" in finding.rule and name != first
    return (finding.rule, finding.file, finding.line, name) if is_one_of_many else number

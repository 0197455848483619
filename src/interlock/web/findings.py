"""Findings as a page shows them: where each stands, the first lines of a long one, and failures of one parametrized
test as one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from interlock.core.events import Finding
from interlock.readmodel.history import VerdictView
from interlock.text.cleaning import plain, without_place

_FINDINGS_MAX = 300
_HEAD_MAX = 3  # lines
_SIMPLE = re.compile(r"[\w./+@-]+")
_LIKE_A_LINE = re.compile(r".*-[LO]\d+|.*~\d+")
_CODE = re.compile(r"^(?:[ \t]+\S|E  |> |Traceback )", re.MULTILINE)
_PARAMETERS = re.compile(r"\[.*\]")


@dataclass(frozen=True, slots=True)
class PlacedFinding:
    """`id` is its permalink."""

    id: str
    gate: str
    status: str  # of the verdict
    finding: Finding


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


def placed(verdicts: Sequence[VerdictView]) -> list[PlacedFinding]:
    """The findings that name a file, of one change at most 300."""
    return [
        PlacedFinding(finding_id(item, number), item.verdict.gate.rpartition("/")[2], item.verdict.status, finding)
        for item in verdicts
        for number, finding in enumerate(item.verdict.findings, 1)
        if finding.file
    ][:_FINDINGS_MAX]


def of_file(findings: Sequence[PlacedFinding], file: str) -> list[PlacedFinding]:
    """Those of one file, by line."""
    return sorted((each for each in findings if each.finding.file == file), key=lambda each: each.finding.line)


def finding_id(verdict: VerdictView, number: int) -> str:
    """The permalink of a finding: its gate and its number there, from 1."""
    given = verdict.verdict
    again = f".{given.number}" if given.number > 1 else ""
    return f"finding-{given.gate}{again}-{number}"


def anchor(file: str, line: int = 0) -> str:
    """The permalink of a file as findings name it, or of a line of its new version. Readable if the name is."""
    is_plain = _SIMPLE.fullmatch(file) and not _LIKE_A_LINE.fullmatch(file)
    readable = "".join(_SIMPLE.findall(file))[:80]
    name = file if is_plain else f"{readable}~{sha256(file.encode('utf-8', 'replace')).hexdigest()[:8]}"
    return f"f-{name}-L{line}" if line else f"f-{name}"


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

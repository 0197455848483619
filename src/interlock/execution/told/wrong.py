"""Why an attempt is made again: what was wrong, what of it is not new, and the work that was rejected.

Rule: of what is held out nothing but a count, as it was recorded. What an agent or a program wrote is a quotation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from interlock.core.feedback import same_words
from interlock.core.pipeline import Stage
from interlock.core.text import plain
from interlock.execution.told.words import fenced, listed, path_here
from interlock.ports import Blobs

PATCH_MAX = 6_000  # characters of a rejected patch
_FINDING_MAX = 1_200
_FINDINGS_MAX = 8_000  # of all of them
_OUTPUT_MAX = 2_500  # of one gate
_EARLIER_MAX = 1_000
_COMMENT_MAX = 10_000
_READ_MAX = 2_000_000  # bytes of a patch
_DIGEST_LENGTH = 64
_BINARY = re.compile(rb"^GIT binary patch\n(?:(?:literal|delta) .*\n(?:[A-Za-z].*\n)*\n?)+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as the agent may see it. `file` is a path from the root."""

    gate: str
    message: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Rejection:
    """What was said of an attempt: `attempt` is its name, `output` the end of what gates printed, `patch` a digest."""

    attempt: str
    findings: tuple[Found, ...]
    output: Mapping[str, str] = field(default_factory=dict)
    patch: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    by: str
    text: str


Said = Rejection | Comment


def read(blobs: Blobs, digests: Iterable[str]) -> tuple[Said, ...]:
    """What was recorded, oldest first."""
    return tuple(_read(json.loads(blobs.get(digest))) for digest in digests)


def wrong(stage: Stage, said: Sequence[Said]) -> str:
    """Comments of people; the newest rejection, what of it was said before, and what was said before it."""
    rejections = [one for one in said if isinstance(one, Rejection)]
    parts = [f"{one.by} says:\n{plain(one.text, _COMMENT_MAX)}" for one in said if isinstance(one, Comment)]
    if rejections:
        parts.extend(_rejected(stage, rejections[-1], rejections[:-1]))
    return "\n\n".join(parts)


def tried(stage: Stage, said: Sequence[Said], blobs: Blobs) -> tuple[str, bytes]:
    """The newest patch that was rejected, bounded; and all of it where it had to be cut."""
    last = next((one for one in reversed(said) if isinstance(one, Rejection)), None)
    content = blobs.get(last.patch) if last is not None and last.patch else b""
    if last is None or not content.strip():
        return "", b""
    whole = _BINARY.sub(b"(binary)\n", content[:_READ_MAX]).decode("utf-8", "replace").strip("\n")
    text = plain(whole, PATCH_MAX)
    of = "from the root of the repository" if stage.dir else "here"
    head = f"The patch of {last.attempt}, which was rejected. It is not in the files; its paths are {of}."
    shown = f"{head}\n\n{fenced(text, 'diff')}"
    return shown, content if len(whole) > PATCH_MAX else b""


def _read(document: Mapping[str, Any]) -> Said:
    if "comment" in document:
        return Comment(document["by"], document["comment"])
    patch = document["patch"].replace("/", "")[-_DIGEST_LENGTH:]  # earlier versions kept the path of a blob
    findings = tuple(_found(item) for item in document["findings"])
    return Rejection(document["attempt"], findings, document["output"], patch)


def _found(item: str | Mapping[str, Any]) -> Found:
    """Earlier versions kept a line."""
    if isinstance(item, str):
        gate, _, message = item.partition(": ")
        return Found(gate, message)
    return Found(item["gate"], item["message"], item["file"], item["line"])


def _rejected(stage: Stage, last: Rejection, before: Sequence[Rejection]) -> Iterator[str]:
    whose = "" if _is_of(stage, last.attempt) else ", which was built on this work,"
    known = {same_words(found.gate, found.file, found.message): one.attempt for one in before for found in one.findings}
    lines = [_line(stage, found, known) for found in last.findings]
    yield f"{last.attempt}{whose} was rejected:\n" + listed(lines, _FINDINGS_MAX, "findings")
    again = [found for found in last.findings if same_words(found.gate, found.file, found.message) in known]
    if again:
        yield "What is marked as the same was found before: the way that was taken does not mend it. Take another one."
    yield from _earlier(stage, last, before)
    for gate, output in list(last.output.items())[:3]:
        yield f"End of the output of {_gate(stage, gate)}:\n{fenced(plain(output, _OUTPUT_MAX))}"


def _earlier(stage: Stage, last: Rejection, before: Sequence[Rejection]) -> Iterator[str]:
    """What is mended by now, so that it stays so."""
    now = {same_words(found.gate, found.file, found.message) for found in last.findings}
    lines = {
        _line(stage, found, {}): None
        for one in reversed(before)
        for found in one.findings
        if same_words(found.gate, found.file, found.message) not in now
    }
    if lines:
        yield "Found earlier, and mended since. Keep it mended:\n" + listed(lines, _EARLIER_MAX, "findings")


def _line(stage: Stage, found: Found, known: Mapping[str, str]) -> str:
    here = path_here(stage.dir, found.file)
    place = f"{here}:{found.line}: " if found.line else f"{here}: " if here else ""
    gate = f"{_gate(stage, found.gate)}: " if found.gate else ""
    message = plain(found.message, _FINDING_MAX).replace("\n", "\n  ")
    before = known.get(same_words(found.gate, found.file, found.message), "")
    return f"{gate}{place}{message}" + (f" (the same as in {before})" if before else "")


def _gate(stage: Stage, gate: str) -> str:
    return gate.removeprefix(f"{stage.id}/")


def _is_of(stage: Stage, attempt: str) -> bool:
    return attempt.partition("/")[0].partition("[")[0] == stage.id

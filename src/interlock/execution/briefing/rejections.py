"""Why an attempt is made again: what was wrong, what of it is not new, and the work that was rejected.

Rule: of what is held out nothing but a count, as it was recorded. What an agent or a program wrote is a quotation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from interlock.core.feedback import same_words
from interlock.core.pipeline import Stage
from interlock.ports import Blobs
from interlock.text.cleaning import cut, fenced, listed, path_here, plain

PATCH_MAX = 6_000  # characters of a rejected patch
RED_BEFORE = "it failed before your change as well"
HELD_OUT_RED_BEFORE = "what is held out failed before your change as well"
_NOTES = (RED_BEFORE, HELD_OUT_RED_BEFORE)  # beside the findings: they cannot come back
_FILE_MAX = 300
_COMMAND_MAX = 240
_FINDING_MAX = 1_200
_FINDINGS_MAX = 8_000  # of all of them
_OUTPUT_MAX = 2_500  # of one gate
_EARLIER_MAX = 1_000
_EARLIER_LINE_MAX = 240
_COMMENT_MAX = 10_000
_READ_MAX = 2_000_000  # bytes of a patch
_DIGEST_LENGTH = 64
_BINARY = re.compile(rb"^GIT binary patch\n(?:(?:literal|delta) .*\n(?:[A-Za-z].*\n)*\n?)+", re.MULTILINE)
_INDEX = re.compile(rb"^index [0-9a-f]{40}\.\.[0-9a-f]{40}.*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as the agent may see it. `file` is a path from the root."""

    gate: str
    message: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Rejection:
    """What was said of an attempt: `attempt` is its name, `output` the end of what gates printed, `patch` a digest.
    `sent_back`: it was not rejected itself, but what was built on it, or by a person who sent it back."""

    attempt: str
    findings: tuple[Found, ...]
    output: Mapping[str, str] = field(default_factory=dict)
    patch: str = ""
    sent_back: bool = False


@dataclass(frozen=True, slots=True)
class Comment:
    by: str
    text: str


Feedback = Rejection | Comment


def read(blobs: Blobs, digests: Iterable[str]) -> tuple[Feedback, ...]:
    """What was recorded, oldest first."""
    return tuple(_read(json.loads(blobs.get(digest))) for digest in digests)


def wrong(stage: Stage, said: Sequence[Feedback]) -> str:
    """Comments of people; the newest rejection, what of it was said before, and what was said before it."""
    rejections = [one for one in said if isinstance(one, Rejection)]
    parts = [f"{one.by} says:\n{plain(one.text, _COMMENT_MAX)}" for one in said if isinstance(one, Comment)]
    if rejections:
        parts.extend(_rejected(stage, rejections[-1], rejections[:-1]))
    return "\n\n".join(parts)


def tried(stage: Stage, said: Sequence[Feedback], blobs: Blobs) -> tuple[str, str, bytes]:
    """The newest patch that was rejected, bounded; and where it had to be cut, a name for it and all of it. An attempt
    that changed nothing has none."""
    for last in (one for one in reversed(said) if isinstance(one, Rejection) and one.patch):
        if content := blobs.get(last.patch).strip():
            return _shown(stage, last, content + b"\n")
    return "", "", b""


def _shown(stage: Stage, last: Rejection, content: bytes) -> tuple[str, str, bytes]:
    whole = _INDEX.sub(b"", _BINARY.sub(b"(binary)\n", content[:_READ_MAX])).decode("utf-8", "replace").strip("\n")
    text = plain(whole, PATCH_MAX)
    paths = " Its paths are from the root of the repository." if stage.dir else ""
    attempt, done = last.attempt, "sent back" if last.sent_back else "rejected"
    head = f"The patch of {attempt}, which was {done}. It is not in the files.{paths}"
    shown = f"{head}\n\n{fenced(text, 'diff')}"
    return (
        (shown, re.sub(r"[^\w.@-]", "-", attempt) + ".patch", content) if len(whole) > PATCH_MAX else (shown, "", b"")
    )


def _read(document: Mapping[str, Any]) -> Feedback:
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
    known = {
        same_words(found.gate, found.file, found.message): one.attempt
        for one in before
        for found in one.findings
        if found.message not in _NOTES
    }
    lines = list(_lines(stage, last.findings, known))
    yield f"{last.attempt}{whose} was rejected:\n" + listed(lines, _FINDINGS_MAX, "findings")
    again = [found for found in last.findings if same_words(found.gate, found.file, found.message) in known]
    if again:
        yield "Findings marked as the same were found before: that approach does not fix them. Try another one."
    yield from _earlier(stage, last, before)
    for gate, output in list(last.output.items())[:3]:
        yield f"End of the output of {_gate(stage, gate)}:\n{fenced(plain(output, _OUTPUT_MAX))}"


def _earlier(stage: Stage, last: Rejection, before: Sequence[Rejection]) -> Iterator[str]:
    """What was mended, so that it stays so, or was not asked again: gates behind one that says no are not asked."""
    now = {same_words(found.gate, found.file, found.message) for found in last.findings}
    lines = {
        cut(_line(stage, found, {}).partition("\n")[0], _EARLIER_LINE_MAX): None
        for one in reversed(before)
        for found in one.findings
        if same_words(found.gate, found.file, found.message) not in now and found.message not in _NOTES
    }
    if lines:
        yield "Found in earlier attempts. It must not come back:\n" + listed(lines, _EARLIER_MAX, "findings")


def _lines(stage: Stage, findings: Sequence[Found], known: Mapping[str, str]) -> Iterator[str]:
    """One for each, but for files of which the same is said: they are named together, by folder."""
    groups: dict[tuple[str, ...], list[Found]] = {}
    for number, found in enumerate(findings):
        alone = str(number) if found.line or not found.file or "\n" in found.message else ""
        before = known.get(same_words(found.gate, found.file, found.message), "")
        groups.setdefault((alone, found.gate, found.message, before), []).append(found)
    for group in groups.values():
        if len(group) == 1:
            yield _line(stage, group[0], known)
        else:
            said = _line(stage, replace(group[0], file=""), {})
            before = known.get(same_words(group[0].gate, group[0].file, group[0].message), "")
            same = f" (the same as in {before})" if before else ""
            yield f"{said} ({len(group)} files){same}: {_by_folder(stage, [found.file for found in group])}"


def _by_folder(stage: Stage, files: Sequence[str]) -> str:
    folders: dict[str, list[str]] = {}
    for file in sorted(files):
        folder, slash, name = plain(path_here(stage.dir, file), _FILE_MAX).rpartition("/")
        folders.setdefault(folder + slash, []).append(name)
    shown = (f"{folder}: {', '.join(names)}" if folder else ", ".join(names) for folder, names in folders.items())
    return cut("; ".join(shown), _FINDING_MAX)


def _line(stage: Stage, found: Found, known: Mapping[str, str]) -> str:
    here = cut(plain(path_here(stage.dir, found.file), _FILE_MAX), _FILE_MAX)
    place = f"{here}:{found.line}: " if found.line else f"{here}: " if here else ""
    gate = f"{_gate(stage, found.gate)}{_command(stage, found)}: " if found.gate else ""
    message = plain(found.message, _FINDING_MAX).replace("\n", "\n  ")
    before = known.get(same_words(found.gate, found.file, found.message), "")
    return f"{gate}{place}{message}" + (f" (the same as in {before})" if before else "")


def _command(stage: Stage, found: Found) -> str:
    """What ended with the exit code: a session that goes on is not told the checks again."""
    if found.file or not found.message.startswith("exit code"):
        return ""
    from interlock.pipelinefile.sets import short_command

    gates = [gate for gate in stage.gates if f"{stage.id}/{gate.id}" == found.gate and not gate.held_out]
    command = " ".join(short_command(gates[0]).split()) if gates else ""
    return f" (`{cut(command, _COMMAND_MAX)}`)" if command else ""


def _gate(stage: Stage, gate: str) -> str:
    return gate.removeprefix(f"{stage.id}/")


def _is_of(stage: Stage, attempt: str) -> bool:
    return attempt.partition("/")[0].partition("[")[0] == stage.id

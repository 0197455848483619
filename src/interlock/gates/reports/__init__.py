"""Reports that programs write, and findings: text that a candidate may have chosen, made safe.

Rule: bounded and plain. A report is read from regular files only, never through a symbolic link; it has no entities and
no references, and anything odd is `Unreadable` instead of a guess. Here alone does such text become a finding of ours.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from interlock.core.events import Finding, Severity
from interlock.core.feedback import MORE
from interlock.text.cleaning import plain

REPORT_BYTES_MAX = 50_000_000
_FILES_MAX = 5_000


class Unreadable(Exception):
    """There is no report that can be judged. The text says why."""


def read_report(path: Path) -> tuple[bytes, ...]:
    """The contents of the file, or of the XML files in the folder, at $REPORT, by name. Raises Unreadable."""
    if path.is_dir() and not path.is_symlink():
        return _read_folder(path)
    return (_read_file(path, REPORT_BYTES_MAX),)


def _read_folder(folder: Path) -> tuple[bytes, ...]:
    """For test runners that write one file for each suite, $REPORT is a folder."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".xml"))
    if not names:
        raise Unreadable("the report is a folder without any .xml file")
    if len(names) > _FILES_MAX:
        raise Unreadable(f"the report is a folder of {len(names)} files, at most {_FILES_MAX} are read")
    contents: list[bytes] = []
    remaining = REPORT_BYTES_MAX
    for name in names:
        contents.append(_read_file(folder / name, remaining))
        remaining -= len(contents[-1])
    return tuple(contents)


def _read_file(path: Path, bytes_max: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise Unreadable("the report is missing: nothing was written to $REPORT") from None
    except OSError as error:
        raise Unreadable(f"the report cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("the report is not a regular file")
        if status.st_size > bytes_max:
            raise Unreadable(f"the report has {status.st_size} bytes, but at most {REPORT_BYTES_MAX} are read")
        content = file.read(bytes_max)
    if not content.strip():
        raise Unreadable("the report is empty")
    return content


def in_repository(named: str, tree: Path, folder: str) -> str:
    """`named` (a path or file URI) relative to the checkout `tree`. A relative path starts at `folder`, where the
    program ran; a path outside of the checkout stays as it is."""
    path = unquote(urlsplit(named).path) if named.startswith("file:") else named
    for root in (str(tree), str(tree.resolve())):
        if path.startswith(f"{root}/"):
            return path.removeprefix(f"{root}/")
    path = path.removeprefix("./")
    if folder and path and not path.startswith(("/", f"{folder}/")):
        return f"{folder}/{path}"
    return path


FINDINGS_MAX = 100
MESSAGE_MAX = 2_000  # characters
_RULE_MAX = 100
FILE_MAX = 500


def bounded(findings: Iterable[Finding], *, secret: bool = False) -> tuple[Finding, ...]:
    """The findings with safe texts, errors first; at most FINDINGS_MAX, and then the last one says how many more."""
    ranked = sorted(findings, key=lambda finding: list(Severity).index(finding.severity))
    kept = [_safe(finding, secret) for finding in ranked[:FINDINGS_MAX]]
    if len(ranked) > FINDINGS_MAX:
        more = len(ranked) - FINDINGS_MAX + 1
        kept[-1] = Finding(MORE, f"and {more} more findings like these", kept[-1].severity, secret=secret)
    return tuple(kept)


def outside_of(findings: Iterable[Finding], tree: Path) -> Iterator[Finding]:
    """The findings with paths of the repository in place of those of the checkout, which is gone and had a random
    name."""
    for finding in findings:
        message = finding.message.replace(f"file://{tree}/", "").replace(f"{tree}/", "")
        yield finding if message == finding.message else replace(finding, message=message)


def _safe(finding: Finding, secret: bool) -> Finding:
    return replace(
        finding,
        rule=plain(finding.rule, _RULE_MAX),
        message=plain(finding.message, MESSAGE_MAX),
        file=plain(finding.file, FILE_MAX),
        line=max(0, finding.line),
        secret=secret or finding.secret,
    )

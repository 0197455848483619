"""Requirements by their ids, in the documents of a run's stages.

Rule: an id stands for itself: REQ-1 is not found in REQ-12, and names of standards such as UTF-8 are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from interlock.core.pipeline import ARTIFACTS, Artifact
from interlock.gates.bench import Bench
from interlock.ports import Case

DOCUMENT_MAX = 100_000  # bytes
_ID = r"[A-Z][A-Z0-9]{0,15}(?:-[A-Z0-9]{1,15})*-\d{1,6}"
_STANDARDS = ("AES-", "CVE-", "CWE-", "ECMA-", "IEEE-", "ISO-", "MD-", "PEP-", "RFC-", "RSA-", "SHA-", "SHA3-", "UTF-")


def ids_in(text: str, pattern: str = "") -> Iterator[str]:
    """Each id in order, as often as it stands there: of `pattern`, or such as REQ-12."""
    for found in re.finditer(rf"(?<![\w-])(?:{pattern or _ID})(?![\w-])", text):
        if found.group() and (pattern or not found.group().startswith(_STANDARDS)):
            yield found.group()


def document(bench: Bench, case: Case, name: str) -> str:
    """The text of STAGE/NAME in the candidate, empty where there is none. Raises KeyError for a name that no
    stage produces."""
    stage, _, wanted = name.partition("/")
    for artifact in case.pipeline.stage(stage).produces:
        if artifact.name == wanted:
            return content(bench, case, stage, artifact)
    raise KeyError(name)


def content(bench: Bench, case: Case, stage: str, artifact: Artifact) -> str:
    """The beginning of a stage's artifact as text."""
    path = f"{ARTIFACTS}/{stage}/{artifact.file}"
    found = bench.workspaces.read(case.commit, path, artifact.max_bytes)
    return (found or b"")[:DOCUMENT_MAX].decode("utf-8", "replace")

"""Runs that are kept: the same command on the same files is run once, whichever gate asks for it.

Rule: what was run is kept, never what was made of it. Each gate judges anew, against its own baseline. A run that could
not decide is not kept, and one that another version kept in a shape unknown here is run again.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interlock.core.codec import object_reader, object_writer
from interlock.core.events import Evidence
from interlock.gates.bench import Bench
from interlock.gates.canary import MustFail
from interlock.gates.findings import MESSAGE_MAX
from interlock.gates.reports import junit
from interlock.gates.running import Ran
from interlock.ports import InfrastructureError
from interlock.process import How

_KIND = "ran/3"
_TAIL_BYTES = MESSAGE_MAX * 4  # what a finding can show of it


@dataclass(frozen=True, slots=True)
class _Kept:
    """`tail` is base64."""

    code: int
    tail: str
    evidence: tuple[Evidence, ...]
    tree: str
    must_fail: MustFail


def recall(bench: Bench, key: str) -> tuple[Ran, ...]:
    """The runs kept by `key`, none where they cannot be read or their evidence is gone."""
    text = bench.journal.recall(_KIND, key)
    if text is None:
        return ()
    try:
        kept = [object_reader(_Kept)(run) for run in json.loads(text)]
        if not all(_is_there(bench, item) for run in kept for item in run.evidence):
            return ()
        return tuple(_ran(bench, run) for run in kept)
    except (InfrastructureError, ValueError, TypeError, KeyError):
        return ()


def remember(bench: Bench, key: str, runs: Sequence[Ran]) -> None:
    """Keep runs, each of which ended by itself and left a report where one was due."""
    write = object_writer(_Kept)
    bench.journal.remember(_KIND, key, json.dumps([write(_kept(run)) for run in runs]))


def _is_there(bench: Bench, item: Evidence) -> bool:
    """Whole, as far as its size tells: the digest of a report is checked when it is read."""
    try:
        return bench.blobs.path(item.digest).stat().st_size == item.size
    except OSError:
        return False


def _kept(ran: Ran) -> _Kept:
    tail = b64encode(ran.tail[-_TAIL_BYTES:]).decode() if ran.code else ""
    return _Kept(ran.code or 0, tail, ran.evidence, str(ran.tree), ran.must_fail)


def _ran(bench: Bench, kept: _Kept) -> Ran:
    report = next((bench.blobs.get(item.digest) for item in kept.evidence if item.name == "report"), None)
    contents = None if report is None else junit.split(report)
    tail, tree = b64decode(kept.tail), Path(kept.tree)
    return Ran(How.EXITED, kept.code, tail, contents, kept.evidence, tree, must_fail=kept.must_fail)

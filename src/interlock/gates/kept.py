"""Runs that are kept: the same command on the same files is run once, whichever gate asks for it.

Rule: what was run is kept, never what was made of it. Each gate judges anew, against its own baseline. A run that could
not decide is not kept.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from interlock.core.events import Evidence
from interlock.gates.bench import Bench
from interlock.gates.canary import MustFail
from interlock.gates.findings import MESSAGE_MAX
from interlock.gates.reports import junit
from interlock.gates.running import Ran
from interlock.ports import InfrastructureError
from interlock.process import How

_KIND = "ran/2"
_TAIL_BYTES = MESSAGE_MAX * 4  # what a finding can show of it


def recall(bench: Bench, key: str) -> tuple[Ran, ...]:
    """The runs kept by `key`, none where their evidence is gone."""
    text = bench.journal.recall(_KIND, key)
    if text is None:
        return ()
    kept: list[dict[str, Any]] = json.loads(text)
    if not all(bench.blobs.path(item["digest"]).exists() for run in kept for item in run["evidence"]):
        return ()
    try:
        return tuple(_ran(bench, run) for run in kept)
    except InfrastructureError:
        return ()


def remember(bench: Bench, key: str, runs: Sequence[Ran]) -> None:
    """Keep runs, each of which ended by itself and left a report where one was due."""
    bench.journal.remember(_KIND, key, json.dumps([_plain(run) for run in runs]))


def _plain(ran: Ran) -> dict[str, Any]:
    tail = b64encode(ran.tail[-_TAIL_BYTES:]).decode() if ran.code else ""
    evidence = [asdict(item) for item in ran.evidence]
    must_fail = asdict(ran.must_fail)
    return {"code": ran.code, "tail": tail, "evidence": evidence, "tree": str(ran.tree), "must_fail": must_fail}


def _ran(bench: Bench, kept: dict[str, Any]) -> Ran:
    evidence = tuple(Evidence(**item) for item in kept["evidence"])
    report = next((bench.blobs.get(item.digest) for item in evidence if item.name == "report"), None)
    contents = None if report is None else junit.split(report)
    tail, tree, must_fail = b64decode(kept["tail"]), Path(kept["tree"]), MustFail(**kept["must_fail"])
    return Ran(How.EXITED, kept["code"], tail, contents, evidence, tree, must_fail=must_fail)

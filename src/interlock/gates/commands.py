"""Commands of run gates: each in a checkout of its own, judged by its exit code and its report.

Rule: exactly the same is run once, and judged by each gate anew; `repeat` runs it again on the same tree, keeps
every run, and where they disagree nothing is decided. What was run is kept, never what was made of it. A slow machine
is no verdict, and is not kept; a run that another version kept in a shape unknown here is run again.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from interlock.core.codec import object_reader, object_writer
from interlock.core.events import Evidence, Finding, VerdictStatus
from interlock.gates import proof
from interlock.gates.bench import Bench
from interlock.gates.canary import MustFail
from interlock.gates.findings import MESSAGE_MAX, bounded, outside_of
from interlock.gates.fingerprint import run_key, verdict_key
from interlock.gates.held_out import HeldOutMissing
from interlock.gates.locks import HeldUp, Slot, held, told
from interlock.gates.old_tests import with_tests_of_base
from interlock.gates.reports import junit
from interlock.gates.running import Ran, room_of, run_once, values_seen
from interlock.gates.verdicts import UNFINISHED, verdict
from interlock.ports import Cancel, Case, InfrastructureError, Judgement, UnfitSetup
from interlock.process import How

_NO_FORK = 254  # of bash, which says "fork: Resource temporarily unavailable"


def judge_command(bench: Bench, case: Case, cancel: Cancel) -> Judgement:
    """What the command said of the candidate. Raises Cancelled, and InfrastructureError for the machine."""
    case = with_tests_of_base(bench, case)
    try:
        judgement, runs = _judged(bench, case, cancel)
        if judgement.status is not VerdictStatus.PASSED or not proof.is_due(case):
            return judgement
        proved = proof.proved(bench, case, runs[0], judgement, lambda other: _judged(bench, other, cancel)[1][0])
        return replace(proved, findings=bounded(proved.findings, secret=bool(case.gate.held_out)))
    except HeldOutMissing as error:
        return Judgement(VerdictStatus.ERRORED, (Finding("held_out", str(error), secret=True),), permanent=True)
    except UnfitSetup as error:
        log = Evidence("log", bench.blobs.put(error.output), len(error.output))
        return Judgement(VerdictStatus.FAILED, (Finding("setup", str(error)),), (log,))


def _judged(bench: Bench, case: Case, cancel: Cancel) -> tuple[Judgement, Sequence[Ran]]:
    """The judgement, and the runs that it is of."""
    room = bench.workspaces.room_digest(case.commit, case.base_commit, room_of(case))
    key = run_key(case, bench.environ, values_seen(bench, case), room, bench.held_out)
    judgement, runs = _kept_or_run(bench, case, key, cancel)
    return replace(judgement, digest=verdict_key(case, key)), runs


def _kept_or_run(bench: Bench, case: Case, key: str, cancel: Cancel) -> tuple[Judgement, Sequence[Ran]]:
    if not case.gate.cached or case.pipeline.carry:  # what is carried in has no digest that we know of
        runs = _run(bench, case, cancel)
        return _said(case, runs), runs
    with bench.flights.alone(key, cancel):
        kept = recall(bench, key)
        judgement = replace(_said(case, kept), cached=True) if kept else None
        if kept and judgement is not None and not judgement.flaky:
            return judgement, kept
        runs = _run(bench, case, cancel)
        judgement = _said(case, runs)
        finished = not any(finding.rule in UNFINISHED for finding in judgement.findings)
        if finished and not judgement.flaky and not any(_was_killed(ran) for ran in runs):
            remember(bench, key, runs)
        return judgement, runs


def _run(bench: Bench, case: Case, cancel: Cancel) -> list[Ran]:
    with _turn(bench, case, cancel) as slot:
        return [run_once(bench, case, slot, cancel) for _ in range(max(1, case.gate.repeat))]


def _was_killed(ran: Ran) -> bool:
    """By a signal, as a shell tells of it too, or where a shell may not fork: that may have been the machine, short
    of memory or processes."""
    return ran.code is None or ran.code < 0 or 128 < ran.code < 160 or ran.code == _NO_FORK


@contextmanager
def _turn(bench: Bench, case: Case, cancel: Cancel) -> Iterator[Slot]:
    who = HeldUp(case.run, str(case.subject), case.gate.id)

    def waits(name: str) -> AbstractContextManager[None]:
        why = f"waits for {name}, which another gate has (`exclusive`)"
        return told(bench.slots.folder, replace(who, why=why))

    with bench.slots.taken(cancel, who) as slot, held(bench.locks, case.gate.exclusive, cancel, waits):
        yield slot


def _said(case: Case, runs: Sequence[Ran]) -> Judgement:
    judgements = [_said_once(case, ran) for ran in runs]
    return judgements[0] if len(judgements) == 1 else _agreed(judgements)


def _said_once(case: Case, ran: Ran) -> Judgement:
    judgement = verdict(case, ran)
    findings = bounded(outside_of(judgement.findings, ran.tree), secret=bool(case.gate.held_out))
    return replace(judgement, findings=findings, evidence=ran.evidence)


def _agreed(judgements: Sequence[Judgement]) -> Judgement:
    """The verdict of runs that agree; else errored and flaky. Every run is kept as evidence."""
    evidence = tuple(_numbered(judgements))
    voices = {(judgement.status, _blamed(judgement)) for judgement in judgements}
    if len(voices) == 1:
        return replace(judgements[0], evidence=evidence)
    said = ", ".join(judgement.status for judgement in judgements)
    message = f"the same tree was judged {len(judgements)} times and not alike ({said}): mend the flaky check"
    others = dict.fromkeys(finding for judgement in judgements for finding in judgement.findings)
    return Judgement(VerdictStatus.ERRORED, (Finding("flaky", message), *others), evidence, flaky=True)


def _blamed(judgement: Judgement) -> frozenset[str]:
    """What a verdict hangs on, without texts that name times or addresses."""
    about_tests = (finding.message for finding in judgement.findings if finding.rule.startswith("test_"))
    return frozenset(message.split(" failed", 1)[0] for message in about_tests)


def _numbered(judgements: Sequence[Judgement]) -> Iterator[Evidence]:
    for number, judgement in enumerate(judgements, 1):
        for item in judgement.evidence:
            yield item if number == 1 else replace(item, name=f"{item.name}.{number}")


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

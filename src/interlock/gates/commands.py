"""Commands of run gates: each in a checkout of its own, judged by its exit code and its report.

Rule: the same command on the same input is run once, and each gate judges that run anew. `repeat` runs it again on the
same tree and keeps every run; if they disagree, nothing is decided. A run that ended by a timeout or a signal may be
the machine's fault and is not kept; a run that another version kept in an unknown format is run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from interlock.conventions.judge_files import CONFIGURATION, MIXED, RESERVED, is_test, tests_of
from interlock.core.events import Evidence, Finding, VerdictStatus
from interlock.core.pipeline import Tests
from interlock.gates import inline, proof
from interlock.gates.cache import recall, remember, run_key, verdict_key
from interlock.gates.context import GateContext
from interlock.gates.held_out import HeldOutMissing
from interlock.gates.locks import Slot, WaitingWork, hold_locks, show_waiting
from interlock.gates.manifests import DEPENDENCIES
from interlock.gates.reports import bounded, outside_of
from interlock.gates.running import CommandRun, checkout_spec_of, run_once, values_seen
from interlock.gates.verdicts import UNFINISHED, verdict
from interlock.ports import Cancel, GateRequest, Judgement, Stamp, UnfitSetup

_OF_THE_CANDIDATE = (RESERVED, *CONFIGURATION, *MIXED, *DEPENDENCIES)
_NO_FORK = 254  # of bash, which says "fork: Resource temporarily unavailable"


def judge_command(context: GateContext, request: GateRequest, cancel: Cancel) -> Judgement:
    """The judgement of a candidate by the gate's command. Raises Cancelled and InfrastructureError."""
    request = with_tests_of_base(context, request)
    try:
        judgement, runs = _judged(context, request, cancel)
        if judgement.status is not VerdictStatus.PASSED or not proof.is_due(request):
            return judgement
        proved = proof.proved(context, request, runs[0], judgement, lambda other: _judged(context, other, cancel)[1][0])
        return replace(proved, findings=bounded(proved.findings, secret=bool(request.gate.held_out)))
    except HeldOutMissing as error:
        return Judgement(VerdictStatus.ERRORED, (Finding("held_out", str(error), secret=True),), permanent=True)
    except UnfitSetup as error:
        log = Evidence("log", context.blobs.put(error.output), len(error.output))
        return Judgement(VerdictStatus.FAILED, (Finding("setup", str(error)),), (log,))


def _judged(context: GateContext, request: GateRequest, cancel: Cancel) -> tuple[Judgement, Sequence[CommandRun]]:
    """The judgement, and the runs that it was made from."""
    checkout = context.workspaces.checkout_digest(request.commit, request.base_commit, checkout_spec_of(request))
    key = run_key(request, context.environ, values_seen(context, request), checkout, context.held_out)
    judgement, runs = _kept_or_run(context, request, key, cancel)
    return replace(judgement, digest=verdict_key(request, key)), runs


def _kept_or_run(
    context: GateContext, request: GateRequest, key: str, cancel: Cancel
) -> tuple[Judgement, Sequence[CommandRun]]:
    if not request.gate.cached or request.pipeline.carry:  # files that `carry` copies have no known digest
        runs = _run(context, request, cancel)
        return _judgement_of(request, runs), runs
    with context.flights.alone(key, cancel):
        kept = recall(context, key)
        judgement = replace(_judgement_of(request, kept), cached=True) if kept else None
        if kept and judgement is not None and not judgement.flaky:
            return judgement, kept
        runs = _run(context, request, cancel)
        judgement = _judgement_of(request, runs)
        finished = not any(finding.rule in UNFINISHED for finding in judgement.findings)
        if finished and not judgement.flaky and not any(_was_killed(ran) for ran in runs):
            remember(context, key, runs)
        return judgement, runs


def _run(context: GateContext, request: GateRequest, cancel: Cancel) -> list[CommandRun]:
    with _slot_and_locks(context, request, cancel) as slot:
        return [run_once(context, request, slot, cancel) for _ in range(max(1, request.gate.repeat))]


def _was_killed(ran: CommandRun) -> bool:
    """By a signal, which a shell reports as 128 and more, or because a shell could not fork: the machine may have been
    short of memory or processes."""
    return ran.code is None or ran.code < 0 or 128 < ran.code < 160 or ran.code == _NO_FORK


@contextmanager
def _slot_and_locks(context: GateContext, request: GateRequest, cancel: Cancel) -> Iterator[Slot]:
    who = WaitingWork(request.run, str(request.subject), request.gate.id)

    def waits(name: str) -> AbstractContextManager[None]:
        why = f"waits for {name}, which another gate has (`exclusive`)"
        return show_waiting(context.slots.folder, replace(who, why=why))

    with context.slots.acquire(cancel, who) as slot, hold_locks(context.locks, request.gate.exclusive, cancel, waits):
        yield slot


def _judgement_of(request: GateRequest, runs: Sequence[CommandRun]) -> Judgement:
    judgements = [_judge_run(request, ran) for ran in runs]
    return judgements[0] if len(judgements) == 1 else _combine(judgements)


def _judge_run(request: GateRequest, ran: CommandRun) -> Judgement:
    judgement = verdict(request, ran)
    findings = bounded(outside_of(judgement.findings, ran.tree), secret=bool(request.gate.held_out))
    return replace(judgement, findings=findings, evidence=ran.evidence)


def _combine(judgements: Sequence[Judgement]) -> Judgement:
    """The verdict if all runs agree, else errored and flaky. Every run is kept as evidence."""
    evidence = tuple(_numbered(judgements))
    voices = {(judgement.status, _failed_tests(judgement)) for judgement in judgements}
    if len(voices) == 1:
        return replace(judgements[0], evidence=evidence)
    statuses = ", ".join(judgement.status for judgement in judgements)
    message = (
        f"the same tree was judged {len(judgements)} times with different results ({statuses}): fix the flaky check"
    )
    others = dict.fromkeys(finding for judgement in judgements for finding in judgement.findings)
    return Judgement(VerdictStatus.ERRORED, (Finding("flaky", message), *others), evidence, flaky=True)


def _failed_tests(judgement: Judgement) -> frozenset[str]:
    """The tests that a verdict is about, without texts that contain times or addresses."""
    about_tests = (finding.message for finding in judgement.findings if finding.rule.startswith("test_"))
    return frozenset(message.split(" failed", 1)[0] for message in about_tests)


def _numbered(judgements: Sequence[Judgement]) -> Iterator[Evidence]:
    for number, judgement in enumerate(judgements, 1):
        for item in judgement.evidence:
            yield item if number == 1 else replace(item, name=f"{item.name}.{number}")


# --- the tests of the base ----------------------------------------------------------------------


def with_tests_of_base(context: GateContext, request: GateRequest) -> GateRequest:
    """The request with the tests of the base, if the gate says `tests: base`.

    Taken from the base is whatever a stage may change and no product needs: tests by their names, what stages add, what
    the pipeline protects, and what a stage authors if it contains tests. What builds, installs or configures stays the
    candidate's, since the product may need it as it is now.
    """
    if request.gate.tests is not Tests.BASE or request.commit == request.base_commit:
        return request
    stamp = Stamp("interlock: the candidate with the tests of the base", 0)
    commit = context.workspaces.restore(
        request.commit, request.base_commit, tuple(_globs_of_base(context, request)), stamp
    )
    sources = [
        change.path for change in context.workspaces.changes(request.base_commit, commit) if change.status == "M"
    ]
    commit = inline.with_blocks_of(context.workspaces, commit, request.base_commit, sources, stamp)
    return replace(request, commit=commit, tree=commit)  # any name of the tree works


def _globs_of_base(context: GateContext, request: GateRequest) -> Iterator[str]:
    """The last glob that matches a path decides."""
    yield from request.stage.scope.protect
    yield from _authored_tests(context, request)
    yield from (f"!{glob}" for glob in _OF_THE_CANDIDATE)
    yield from (*tests_of(request.gate.used), *proof.SUPPORT)
    yield from (glob for stage in (*request.pipeline.stages, request.stage) for glob in stage.scope.adds)


def _authored_tests(context: GateContext, request: GateRequest) -> Iterator[str]:
    """Globs that a stage authors, and that hold a test in the base: data and helpers beside it judge as well."""
    authored = (glob for stage in (*request.pipeline.stages, request.stage) for glob in stage.scope.authored_files)
    for glob in dict.fromkeys(authored):
        if any(is_test(path) for path in context.workspaces.files(request.base_commit, (glob,))):
            yield glob

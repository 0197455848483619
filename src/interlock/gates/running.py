"""One run of a gate's command in a clean room, and what is left of it: how it ended, log and report.

Rule: the report goes to a fresh path outside of the checkout; the command sees the base environment, what the
gate names, what setup adds, and our own few variables; values of `secrets` do not reach the evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from interlock.core.events import Evidence
from interlock.core.pipeline import ARTIFACTS, BREAKS_MAX, Report
from interlock.gates import canary, held_out
from interlock.gates.bench import Bench
from interlock.gates.locks import Slot
from interlock.gates.reports import Unreadable, junit, read_report
from interlock.ports import Cancel, Cancelled, Case, Place, Room, secrets_of
from interlock.process import Finished, How, Supervised, masked, scrubbed, supervise

LOG_BYTES_MAX = 10_000_000
_NOTHING = canary.Planted()
_NO_CANARY = canary.MustFail()


@dataclass(frozen=True, slots=True)
class Ran:
    """`report` is None where none is due. `tree` is where the checkout was; it is gone by now. `how` None:
    it could not begin in the candidate's tree, for the reason `why`."""

    how: How | None
    code: int | None
    tail: bytes
    report: tuple[bytes, ...] | Unreadable | None
    evidence: tuple[Evidence, ...]
    tree: Path
    why: str = ""
    must_fail: canary.MustFail = _NO_CANARY


def room_of(case: Case) -> Room:
    """The clean room. Where setup fails on a candidate, it is compared with what was accepted before: of an input in
    conflict, which has markers in it, with the base."""
    alone = case.subject.is_base or case.subject.is_input or case.tree == case.input_tree
    control = "" if alone else case.base_commit if case.conflicts else case.input_commit
    return Room(
        setup=case.pipeline.setup,
        carry=case.pipeline.carry,
        protected=case.stage.scope.protect,
        control=control,
        number=case.number,
    )


def values_seen(bench: Bench, case: Case) -> dict[str, str]:
    """What of the run's values the command sees. A ready gate sees none of them: it judges files alone, so that it says
    the same whatever the task is. Of documents, those that are there, or that the command names."""
    if case.gate.used or case.gate.command is None:
        return {}
    values = case.values
    there = set(bench.workspaces.files(case.commit, [f"/{ARTIFACTS}/**"])) if any(map(_is_path, values)) else set()
    words = " ".join(case.gate.command.words)
    return {name: value for name, value in values.items() if not _is_path(name) or value in there or name in words}


def run_once(bench: Bench, case: Case, slot: Slot, cancel: Cancel) -> Ran:
    """Run the gate's command in `slot`. Raises Cancelled, UnfitSetup and InfrastructureError."""
    if not case.gate.canary:
        return _run(bench, case, slot, cancel, planting=False)
    if canary.rides(bench.workspaces, case.gate, case.commit):
        return _run(bench, case, slot, cancel, planting=True)
    ran = _run(bench, case, slot, cancel, planting=False)
    if ran.how is not How.EXITED or isinstance(ran.report, Unreadable) or (ran.report is None and ran.code):
        return ran
    each: list[canary.MustFail] = []
    for one in _broken_in_turn(case):
        more = _run(bench, one, slot, cancel, planting=True)
        if more.how is not How.EXITED:
            return more
        which = f".{len(each) + 1}" if each else ""
        shown = tuple(replace(item, name=f"{item.name}.must-fail{which}") for item in more.evidence)
        ran = replace(ran, evidence=(*ran.evidence, *shown))
        each.append(more.must_fail)
    return replace(ran, must_fail=_together(each))


def _broken_in_turn(case: Case) -> Iterator[Case]:
    """The case once more, with one glob of `breaks` each time: files may run in programs of their own."""
    if not case.gate.breaks:
        yield case
    for glob in case.gate.breaks[:BREAKS_MAX]:
        yield replace(case, gate=replace(case.gate, breaks=(glob,)))


def _together(each: Sequence[canary.MustFail]) -> canary.MustFail:
    """Of runs without what is judged: each has to show that it failed."""
    return canary.MustFail(
        seen=all(one.seen for one in each),
        failed=all(one.failed for one in each),
        why="; ".join(one.why for one in each) if all(one.why for one in each) else "",
        unheeded=tuple(path for one in each for path in one.unheeded),
    )


def _run(bench: Bench, case: Case, slot: Slot, cancel: Cancel, *, planting: bool) -> Ran:
    with bench.workspaces.clean_room(case.commit, case.base_commit, room_of(case)) as place:
        aside = place.root / "beside"  # fresh with the room, and named alike in each: test ids may hold its path
        aside.mkdir()
        env = _environment(bench, case, place, aside, slot)
        with _laid_out(bench, case, aside) as own:
            planted = _planted(bench, case, place, own) if planting else _NOTHING
            finished = _finished(bench, case, place, {**env, **own}, cancel)
            if finished is None:
                why = f"{case.gate.dir}: no such folder in the checkout: the gate's `dir` must be one"
                return Ran(None, None, b"", None, (), place.tree, why)
            return _kept(bench, case, finished, place, planted)


@contextmanager
def _laid_out(bench: Bench, case: Case, aside: Path) -> Iterator[Mapping[str, str]]:
    """The held-out files for one run, and the variable that says where. The name tells the product nothing."""
    if not case.gate.held_out:
        yield {}
        return
    source = bench.held_out.source(case.gate.held_out)
    hidden = aside / (f"extra{source.suffix}" if source.is_file() else "extra")
    try:
        held_out.lay_out(source, hidden)
        yield {"HELD_OUT": str(hidden)}
    finally:
        held_out.take_away(hidden)


def _planted(bench: Bench, case: Case, place: Place, own: Mapping[str, str]) -> canary.Planted:
    return canary.plant(bench.workspaces, case, place.tree, Path(own["HELD_OUT"]) if "HELD_OUT" in own else None)


def _environment(bench: Bench, case: Case, place: Place, aside: Path, slot: Slot) -> dict[str, str]:
    """Complete. What the gate names comes last but for our own, so that it can change what setup adds."""
    gate = case.gate
    own = {
        "HOME": str(place.home),
        "TMPDIR": str(place.tmp),
        **slot.environment,
        "REPORT": str(aside / "report"),
    }
    named = {name: bench.environ[name] for name in (*gate.env, *gate.secrets) if name in bench.environ}
    return {**scrubbed(bench.environ), **dict(place.env), **_values(bench, case, place), **named, **own}


def _values(bench: Bench, case: Case, place: Place) -> dict[str, str]:
    """Paths of artifacts are absolute here, so that they hold in any `dir`."""
    seen = values_seen(bench, case)
    return {name: str(place.tree / value) if _is_path(name) else value for name, value in seen.items()}


def _is_path(name: str) -> bool:
    return name.startswith("ARTIFACT_")


def _finished(bench: Bench, case: Case, place: Place, env: Mapping[str, str], cancel: Cancel) -> Finished | None:
    """How the command ended; None where its folder is not there."""
    assert case.gate.command is not None
    cwd = place.tree / case.gate.dir
    if not cwd.is_dir() or not cwd.resolve().is_relative_to(place.tree.resolve()):
        return None
    work = Supervised(
        case.gate.command.words, cwd, env, Path(env["REPORT"]).parent / "log", timeout_s=case.gate.timeout_s,
        log_bytes_max=LOG_BYTES_MAX, secrets=_secrets(bench, case),
    )  # fmt: skip
    finished = supervise(work, cancel)
    if finished.how is How.CANCELLED:
        raise Cancelled(f"{case.stage.id}/{case.gate.id}: no longer wanted")
    return finished


def _kept(bench: Bench, case: Case, finished: Finished, place: Place, planted: canary.Planted) -> Ran:
    aside = place.root / "beside"
    log = _read(aside / "log")
    evidence = [_put(bench, "log", planted.note.encode() + log)]
    found = _found(case.gate.report, aside / "report")
    if isinstance(found, tuple):
        found = tuple(masked(content, _secrets(bench, case)) for content in found)
        found = canary.marked(found, planted.words) if case.gate.canary else found
        evidence.append(_put(bench, "report", junit.merged(found)))
    tail = canary.without_lines(finished.tail, planted.words) if planted.words else finished.tail
    ran = Ran(finished.how, finished.code, tail, found, tuple(evidence), place.tree)
    if planted.words is None:
        return replace(ran, must_fail=canary.MustFail(why=planted.why))
    if found is None:  # by its exit code alone, which must be a no, and by what it printed
        seen = canary.without_lines(log, planted.words) != log
        failed = seen and bool(finished.code)
        unheeded = (planted.broken,) if planted.broken and not failed else ()
        return replace(ran, must_fail=canary.MustFail(rode=True, seen=seen, failed=failed, unheeded=unheeded))
    return replace(ran, must_fail=_of_report(bench, case, found))


def _of_report(bench: Bench, case: Case, report: tuple[bytes, ...] | Unreadable) -> canary.MustFail:
    """Whether the report shows each test that must fail as failed; one is enough where the run ends there."""
    try:
        if isinstance(report, Unreadable):
            raise report
        shown = canary.shown(report, any_of_them=not canary.rides(bench.workspaces, case.gate, case.commit))
    except Unreadable:
        return canary.MustFail(rode=True, failed=False)
    return canary.MustFail(rode=True, seen=shown.seen, failed=shown.failed)


def _secrets(bench: Bench, case: Case) -> tuple[str, ...]:
    """Of all the pipeline: a candidate may hold what another stage was given."""
    return tuple(value for _, value in secrets_of(case.pipeline, bench.environ, bench.agents))


def _read(log: Path) -> bytes:
    return log.read_bytes() if log.is_file() else b""


def _found(kind: Report, path: Path) -> tuple[bytes, ...] | Unreadable | None:
    if kind is Report.NONE:
        return None
    try:
        return read_report(path)
    except Unreadable as error:
        return error


def _put(bench: Bench, name: str, content: bytes) -> Evidence:
    return Evidence(name, bench.blobs.put(content), len(content))

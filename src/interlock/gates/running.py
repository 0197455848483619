"""One run of a gate's command in a clean checkout, and its result: how it ended, log and report.

Rule: the report goes to a new path outside of the checkout. The command sees the base environment, what the gate names,
what setup adds, and a few variables of our own. Values of `secrets` do not reach the evidence.
"""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from interlock.core.events import Evidence
from interlock.core.pipeline import ARTIFACTS, BREAKS_MAX, Report
from interlock.gates import canary, held_out
from interlock.gates.canary import planting
from interlock.gates.locks import Slot
from interlock.gates.referee import GateContext
from interlock.gates.reports import Unreadable, junit, read_report
from interlock.ports import Cancel, Cancelled, Checkout, CheckoutSpec, GateRequest, secrets_of
from interlock.process import Finished, How, Supervised, checkout_environment, masked, supervise
from interlock.sandbox import Network, Room, confine
from interlock.text.globs import matches_any

LOG_BYTES_MAX = 10_000_000
CHANGED_MAX = 20
_READ_MAX = 2_000
_NOTHING = planting.Planted()
_NO_CANARY = canary.MustFail()


@dataclass(frozen=True, slots=True)
class CommandRun:
    """`report` is None if none is expected. `tree` is the path of the checkout, which is gone by now. `how` None: the
    command could not start in the candidate's tree, for the reason `why`."""

    how: How | None
    code: int | None
    tail: bytes
    report: tuple[bytes, ...] | Unreadable | None
    evidence: tuple[Evidence, ...]
    tree: Path
    why: str = ""
    must_fail: canary.MustFail = _NO_CANARY
    over: str = ""  # the limit that it passed, in words
    changed: tuple[str, ...] = ()  # tracked files that the command changed or removed, at most CHANGED_MAX


def checkout_spec_of(request: GateRequest) -> CheckoutSpec:
    """The clean checkout. If setup fails on a candidate, it is tried on the accepted input too; on the base, if the
    input has conflict markers."""
    alone = request.subject.is_base or request.subject.is_input or request.tree == request.input_tree
    control = "" if alone else request.base_commit if request.conflicts else request.input_commit
    return CheckoutSpec(
        setup=request.pipeline.setup,
        carry=request.pipeline.carry,
        protected=request.stage.scope.protect,
        control=control,
        number=request.number,
        sandbox=request.sandbox_spec,
        contents=request.contents,
    )


def values_seen(context: GateContext, request: GateRequest) -> dict[str, str]:
    """The values of the run that the command sees: documents only if they exist or the command names them. A gate of a
    set sees none, since it judges files alone and gives the same verdict whatever the task is."""
    if request.gate.used or request.gate.command is None:
        return {}
    values = request.values
    there = set(context.workspaces.files(request.commit, [f"/{ARTIFACTS}/**"])) if any(map(_is_path, values)) else set()
    words = " ".join(request.gate.command.words)
    return {name: value for name, value in values.items() if not _is_path(name) or value in there or name in words}


def run_once(context: GateContext, request: GateRequest, slot: Slot, cancel: Cancel) -> CommandRun:
    """Run the gate's command in `slot`. Raises Cancelled, UnfitSetup and InfrastructureError."""
    if not request.gate.canary:
        return _run(context, request, slot, cancel, planting=False)
    if canary.joins_run(context.workspaces, request.gate, request.commit):
        return _run(context, request, slot, cancel, planting=True)
    ran = _run(context, request, slot, cancel, planting=False)
    if ran.how is not How.EXITED or isinstance(ran.report, Unreadable) or (ran.report is None and ran.code):
        return ran
    each: list[canary.MustFail] = []
    for one in _for_each_break(request):
        more = _run(context, one, slot, cancel, planting=True)
        if more.how is not How.EXITED:
            return more
        which = f".{len(each) + 1}" if each else ""
        shown = tuple(replace(item, name=f"{item.name}.must-fail{which}") for item in more.evidence)
        ran = replace(ran, evidence=(*ran.evidence, *shown))
        each.append(more.must_fail)
    return replace(ran, must_fail=_together(each))


def _for_each_break(request: GateRequest) -> Iterator[GateRequest]:
    """A copy of the request for each broken glob, since each file may run in its own program."""
    if not request.gate.breaks:
        yield request
    for glob in request.gate.breaks[:BREAKS_MAX]:
        yield replace(request, gate=replace(request.gate, breaks=(glob,)))


def _together(each: Sequence[canary.MustFail]) -> canary.MustFail:
    """The result of the extra runs: each one has to show that it failed."""
    return canary.MustFail(
        seen=all(one.seen for one in each),
        failed=all(one.failed for one in each),
        why="; ".join(one.why for one in each) if all(one.why for one in each) else "",
        unheeded=tuple(path for one in each for path in one.unheeded),
    )


def _run(context: GateContext, request: GateRequest, slot: Slot, cancel: Cancel, *, planting: bool) -> CommandRun:
    with context.workspaces.clean_checkout(request.commit, request.base_commit, checkout_spec_of(request)) as checkout:
        beside = checkout.root / "beside"  # new in each checkout, with the same name: test ids may contain its path
        beside.mkdir()
        _log_of(checkout).parent.mkdir(exist_ok=True)
        env = _environment(context, request, checkout, slot)
        hidden = _held_out_copy(context, request, beside)
        own = {"HELD_OUT": checkout.seen(hidden)} if hidden else {}
        planted = _planted(context, request, checkout, hidden) if planting else _NOTHING
        since_ns = time.time_ns()
        finished = _finished(context, request, checkout, {**env, **own}, cancel)
        if finished is None:
            why = f"{request.gate.dir}: no such folder in the checkout: the gate's `dir` must be one"
            return CommandRun(None, None, b"", None, (), Path(checkout.seen(checkout.tree)), why)
        ran = _kept(context, request, finished, checkout, planted)
        if request.gate.held_out:  # every finding of it is counted as one of the held-out files
            return ran
        return replace(ran, changed=tuple(_changed(context, request, checkout, since_ns)))


def _changed(context: GateContext, request: GateRequest, checkout: Checkout, since_ns: int) -> Iterator[str]:
    """Tracked files that the command changed, at most CHANGED_MAX. It reads only those whose ctime, which no program
    can set, is new, and of these at most _READ_MAX."""
    replaced = tuple(f"/{path.strip('/')}" for setup in request.pipeline.setup for path in setup.paths)
    tree, globs = checkout.tree, ("/**", *(f"!{path}" for path in replaced))
    files = (path for path in context.workspaces.touched(checkout, request.commit) if matches_any(globs, path))
    touched = [path for path in files if _is_touched(tree / path, since_ns)][:_READ_MAX]
    found = 0
    for path, chunks in context.workspaces.contents(request.commit, touched) if touched else ():
        if found < CHANGED_MAX and not _has_content(tree / path, chunks):
            found += 1
            yield path
        deque(chunks, 0)  # all of it must be read before the next one


def _is_touched(path: Path, since_ns: int) -> bool:
    try:
        return path.lstat().st_ctime_ns >= since_ns
    except OSError:
        return True


def _has_content(path: Path, chunks: Iterator[bytes]) -> bool:
    """Whether it is a regular file with this content. No link is followed."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            same = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            return same and all(file.read(len(chunk)) == chunk for chunk in chunks) and not file.read(1)
    except OSError:
        return False


def _held_out_copy(context: GateContext, request: GateRequest, beside: Path) -> Path | None:
    """A copy of the held-out files for one run. Its name tells the product nothing."""
    if not request.gate.held_out:
        return None
    source = context.held_out_of(request).source(request.gate.held_out)
    hidden = beside / (f"extra{source.suffix}" if source.is_file() else "extra")
    held_out.copy_to(source, hidden)
    return hidden


def _planted(context: GateContext, request: GateRequest, checkout: Checkout, hidden: Path | None) -> planting.Planted:
    return planting.plant(context.workspaces, request, checkout.tree, hidden)


def _environment(context: GateContext, request: GateRequest, checkout: Checkout, slot: Slot) -> dict[str, str]:
    """The complete environment. What the gate names overrides what setup adds."""
    gate = request.gate
    named = {name: context.environ[name] for name in (*gate.env, *gate.secrets) if name in context.environ}
    own = {**slot.environment, "REPORT": checkout.seen(checkout.root / "beside" / "report")}
    values = _values(context, request, checkout)
    return checkout_environment(context.environ, checkout, more={**values, **named, **own})


def _values(context: GateContext, request: GateRequest, checkout: Checkout) -> dict[str, str]:
    """With absolute paths of artifacts, which are right in any `dir`."""
    seen = values_seen(context, request)
    return {name: checkout.seen(checkout.tree / value) if _is_path(name) else value for name, value in seen.items()}


def _is_path(name: str) -> bool:
    return name.startswith("ARTIFACT_")


def _finished(
    context: GateContext, request: GateRequest, checkout: Checkout, env: Mapping[str, str], cancel: Cancel
) -> Finished | None:
    """How the command ended; None if its folder does not exist."""
    assert request.gate.command is not None
    cwd = checkout.tree / request.gate.dir
    if not cwd.is_dir() or not cwd.resolve().is_relative_to(checkout.tree.resolve()):
        return None
    work = Supervised(
        request.gate.command.words, cwd, env, _log_of(checkout), timeout_s=request.gate.timeout_s,
        log_bytes_max=LOG_BYTES_MAX, secrets=_secrets(context, request),
    )  # fmt: skip
    network = Network.OPEN if request.gate.network else Network.NONE
    beside = checkout.root / "beside"
    reads = tuple(beside.iterdir())  # held-out files, whose mode the product could change
    room = Room(checkout, network, request.gate.hosts, (beside,), reads, judges=True)
    finished = supervise(confine(work, room), cancel)
    if finished.how is How.CANCELLED:
        raise Cancelled(f"{request.stage.id}/{request.gate.id}: no longer wanted")
    return finished


def _kept(
    context: GateContext, request: GateRequest, finished: Finished, checkout: Checkout, planted: planting.Planted
) -> CommandRun:
    log = _read(_log_of(checkout))
    evidence = [_put(context, "log", planted.note.encode() + log)]
    found = _found(request.gate.report, checkout.root / "beside" / "report")
    if isinstance(found, tuple):
        found = tuple(masked(content, _secrets(context, request)) for content in found)
        found = canary.with_mark(found, planted.words) if request.gate.canary else found
        evidence.append(_put(context, "report", junit.merged(found)))
    tail = canary.without_lines(finished.tail, planted.words) if planted.words else finished.tail
    ran = CommandRun(finished.how, finished.code, tail, found, tuple(evidence), Path(checkout.seen(checkout.tree)))
    ran = replace(ran, over=finished.over)
    if planted.words is None:
        return replace(ran, must_fail=canary.MustFail(why=planted.why))
    if found is None:  # no report: its exit code must not be 0, and its output must name the test
        seen = canary.without_lines(log, planted.words) != log
        failed = seen and bool(finished.code)
        unheeded = (planted.broken,) if planted.broken and not failed else ()
        return replace(ran, must_fail=canary.MustFail(rode=True, seen=seen, failed=failed, unheeded=unheeded))
    return replace(ran, must_fail=_of_report(context, request, found))


def _of_report(context: GateContext, request: GateRequest, report: tuple[bytes, ...] | Unreadable) -> canary.MustFail:
    """Whether the report shows each test that must fail as failed; one is enough if the run stops there."""
    try:
        if isinstance(report, Unreadable):
            raise report
        shown = canary.result_of(
            report, any_of_them=not canary.joins_run(context.workspaces, request.gate, request.commit)
        )
    except Unreadable:
        return canary.MustFail(rode=True, failed=False)
    return canary.MustFail(rode=True, seen=shown.seen, failed=shown.failed)


def _secrets(context: GateContext, request: GateRequest) -> tuple[str, ...]:
    """Those of the whole pipeline: a candidate may contain what another stage got."""
    return tuple(value for _, value in secrets_of(request.pipeline, context.environ, context.agents))


def _log_of(checkout: Checkout) -> Path:
    """Nothing beside it is shown to the command."""
    return checkout.root / "output" / "log"


def _read(log: Path) -> bytes:
    return log.read_bytes() if log.is_file() else b""


def _found(kind: Report, path: Path) -> tuple[bytes, ...] | Unreadable | None:
    if kind is Report.NONE:
        return None
    try:
        return read_report(path)
    except Unreadable as error:
        return error


def _put(context: GateContext, name: str, content: bytes) -> Evidence:
    return Evidence(name, context.blobs.put(content), len(content))

"""What `interlock doctor` looks at says of itself, and the look at what is kept of a repository."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.cli.exits import Exit
from interlock.ports import InterlockError

if TYPE_CHECKING:
    from interlock.bootstrap import Application
    from interlock.core.views import RunSummary
    from interlock.settings import Identity, Paths

_RUNS_MAX = 100_000
_SHOWN_MAX = 20
_NO_RUNS = "no runs of this repository"


@dataclass(frozen=True, slots=True)
class DoctorResult:
    """One thing that was looked at. `level` is ok, note (nothing wrong, and worth knowing), warn (runs that need it
    will not work) or bad."""

    topic: str
    level: str
    text: str
    code: Exit = Exit.ACCEPTED  # what the command ends with where it is bad


def of_runs(cwd: Path, environ: Mapping[str, str], identity: Identity) -> Iterator[DoctorResult]:
    """Whose runs they are. Each is read whole, so that a change or a loss anywhere shows. Nothing is made."""
    from interlock.bootstrap import build
    from interlock.settings import Settings

    paths = identity.paths
    if not (paths.journal.exists() or paths.store.exists() or identity.recorded):
        yield from _without_journal(identity)
        return
    try:
        app = build(cwd, environ, Settings())
    except InterlockError as error:
        yield DoctorResult("journal", "bad", str(error), Exit.INFRASTRUCTURE)
        return
    try:
        if app.notice and not app.service.has_vanished():
            yield DoctorResult("identity", "note", app.notice)
        if identity.begun_anew:
            yield DoctorResult(
                "identity", "note", f"its folder was begun anew, when this was said: {identity.begun_anew}"
            )
        yield from _of_journal(app)
    except InterlockError as error:
        yield DoctorResult("journal", "bad", str(error), Exit.INFRASTRUCTURE)
    finally:
        app.close()


def _without_journal(identity: Identity) -> Iterator[DoctorResult]:
    if identity.lost:
        yield DoctorResult("journal", "bad", identity.notice, Exit.INFRASTRUCTURE)
        return
    if identity.notice:
        yield DoctorResult("identity", "note", identity.notice)
    yield DoctorResult("journal", "note", _NO_RUNS)


def of_records(paths: Paths, identity: Identity) -> Iterator[DoctorResult]:
    """Several folders of one id, as copies have them."""
    from interlock.settings import records_of

    records = records_of(paths, identity.known)
    if len(records) < 2:
        return
    ours = identity.paths.root
    names = [
        f"{record.root.name} (of {record.place}{', this one' if record.root == ours else ''})" for record in records
    ]
    text = f"{len(records)} folders in {paths.state} are of this id: {', '.join(names[:_SHOWN_MAX])}"
    yield DoctorResult("identity", "note", text)


def _of_journal(app: Application) -> Iterator[DoctorResult]:
    from interlock.cli.words import count

    runs = app.service.list_runs(_RUNS_MAX)
    readable = [run for run in runs if run.is_readable]
    unread = [run for run in runs if not run.is_readable]
    if unread:
        others = "; the others are as they were recorded" if readable else ""
        said = f"{len(unread)} of {count(len(runs), 'run')} cannot be read{others}"
        yield DoctorResult("journal", "bad", said, Exit.INFRASTRUCTURE)
        yield from _of_unread(unread)
    elif runs:
        said = f"{count(len(runs), 'run')}, each as it was recorded{_since(app.journal.runs_without_digests())}"
        yield DoctorResult("journal", "ok", said)
    else:
        yield DoctorResult("journal", "note", _NO_RUNS)
    yield from _of_aside(sorted(app.aside.runs().difference(run.id for run in runs)))
    if runs:
        yield _of_store(app, readable)
    yield from _of_evidence(app, readable)


def _since(adopted: int) -> str:
    """What an upgrade found."""
    said = f"; {adopted} of them begun before events carried digests: these are as an upgrade found them"
    return said if adopted else ""


def _of_unread(unread: Sequence[RunSummary]) -> Iterator[DoctorResult]:
    """Each reason once."""
    from interlock.cli.words import by_reason

    for them in by_reason(unread):
        first = them.runs[0]
        way_out = first.way_out and (first.way_out if len(them.runs) == 1 else "interlock doctor --set-aside RUN")
        out = f"; what stays so leaves the lists by: {way_out}" if way_out else ""
        yield DoctorResult(them.which, "bad", f"{first.phase}: {first.why}{out}", Exit.INFRASTRUCTURE)


def _of_aside(runs: Sequence[str]) -> Iterator[DoctorResult]:
    from interlock.cli.words import count

    if runs:
        them = ", ".join(runs)
        text = (
            f"{count(len(runs), 'damaged run')}, in no list ({them}): interlock doctor --bring-back RUN lists it again"
        )
        yield DoctorResult("set aside", "note", text)


def _of_store(app: Application, runs: Sequence[RunSummary]) -> DoctorResult:
    """What runs that are not over start from is kept there."""
    from interlock.cli.words import OVER, count
    from interlock.workspaces import base_ref

    store, mend = app.paths.store, "put it back from a copy, or start the run anew"
    if not store.is_dir():
        text = f"{store} is gone, and with it what runs kept there: {mend}"
        return DoctorResult("store", "bad", text, Exit.INFRASTRUCTURE)
    lacking = [run.id for run in runs if run.phase not in OVER and not (store / base_ref(run.base_commit)).is_file()]
    if lacking:
        text = f"{store} lacks what {count(len(lacking), 'run')} started from ({_them(lacking)}): {mend}"
        return DoctorResult("store", "bad", text, Exit.INFRASTRUCTURE)
    return DoctorResult("store", "ok", str(store))


def _of_evidence(app: Application, runs: Sequence[RunSummary]) -> Iterator[DoctorResult]:
    """Of the newest runs."""
    from interlock.cli.words import count
    from interlock.service.evidence import look

    found = look(app.journal, app.blobs, (run.id for run in runs))
    if not found.missing:
        if found.looked:
            yield DoctorResult(
                "evidence", "ok", f"{count(found.looked, 'file')} of the newest events, each in its place"
            )
        return
    names = _them(list(dict.fromkeys(run for run, _ in found.missing)))
    text = (
        f"{len(found.missing)} of {count(found.looked, 'file')} that the newest events name are gone or cut short"
        f" (of {names}), such as {found.missing[0][1]} in {app.paths.blobs}: put a copy back; what needs none goes on"
    )
    yield DoctorResult("evidence", "bad", text, Exit.INFRASTRUCTURE)


def _them(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN_MAX]) + (", ..." if len(names) > _SHOWN_MAX else "")

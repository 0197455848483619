"""What `interlock doctor` looks at says of itself, and the look at the journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from interlock.cli.exits import Exit
from interlock.ports import InterlockError

_RUNS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Looked:
    """One thing that was looked at. `level` is ok, note (nothing wrong, and worth knowing) or bad."""

    topic: str
    level: str
    text: str
    code: Exit = Exit.ACCEPTED  # what the command ends with where it is bad


def of_journal(cwd: Path, environ: Mapping[str, str]) -> Iterator[Looked]:
    """Each run is read whole, so that a change or a loss anywhere shows."""
    from interlock.bootstrap import build

    try:
        app = build(cwd, environ)
        try:
            runs = app.service.list_runs(_RUNS_MAX)
            adopted = app.journal.adopted()
        finally:
            app.close()
    except InterlockError as error:
        yield Looked("journal", "bad", str(error), Exit.INFRASTRUCTURE)
        return
    unread = [run for run in runs if not run.is_readable]
    for run in unread:
        yield Looked(f"run {run.id}", "bad", f"{run.phase}: {run.why}", Exit.INFRASTRUCTURE)
    said = f"{len(runs) - len(unread)} runs, each as it was recorded"
    since = f"; {adopted} of them begun before events carried digests: these are as an upgrade found them"
    yield Looked("journal", "ok", said + (since if adopted else ""))

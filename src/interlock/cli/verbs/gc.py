"""`interlock gc`: remove what no run needs any more."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interlock.cli.application import application
from interlock.cli.terminal import note, say
from interlock.ports import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.application import Application
    from interlock.workspaces import Collected

_CALL_S = 30.0
_RUNS_MAX = 1_000
DAY_S = 86_400.0


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would be removed, without removing it.")
@click.option("--json", "json", is_flag=True, help="Print JSON on stdout.")
def gc(dry_run: bool, json: bool) -> int:
    """Remove objects, setups and checkouts that no unfinished run needs and that are older than a day.

    The history and the evidence of every run stay. Branches stay too; merged ones are listed. Where workers of yours
    have worked, also what they have not used for `temporal.keep_days`; there it needs no repository."""
    from interlock.service.formats import count, document

    left = _of_workers(dry_run=dry_run)
    if left is not None and not _is_in_repository():
        if json:
            say(document(dry_run=dry_run, workers=_workers_as_json(left)))
        else:
            _say_of_workers(left, dry_run=dry_run)
        return 0
    with application() as app:
        live = tuple(_live(app))
        now = app.service.clock.now()
        gone = app.workspaces.preview(live, DAY_S, now) if dry_run else app.workspaces.collect(live, DAY_S, now)
        merged = [] if json else _merged(app)
    if json:
        workers = {} if left is None else {"workers": _workers_as_json(left)}
        say(document(dry_run=dry_run, collected=collected_as_json(gone), **workers))
        return 0
    say(freed(gone, dry_run=dry_run))
    note(f"stays: {why}" for why in gone.stays)
    if left is not None:
        _say_of_workers(left, dry_run=dry_run)
    if merged:
        are = "is" if len(merged) == 1 else "are"
        note(f"{count(len(merged), 'delivered branch')} {are} merged into HEAD: git branch -d {shlex.join(merged)}")
    return 0


def collected_as_json(gone: Collected) -> dict[str, object]:
    """The keys that `--json` has had from the start."""
    return {
        "bytes": gone.bytes, "objects": gone.objects, "refs": gone.refs, "places": gone.checkouts, "stays": gone.stays,
    }  # fmt: skip


def freed(gone: Collected, *, dry_run: bool) -> str:
    """What is removed, without zero amounts."""
    from interlock.service.formats import count, size

    things = ((gone.objects, "object"), (gone.refs, "ref"), (gone.checkouts, "checkout"), (gone.blobs, "blob"))
    what = ", ".join(count(number, thing) for number, thing in things if number)
    if not what and not gone.bytes:
        packing = " `interlock gc` may still save space by packing." if dry_run else ""
        return f"Nothing to remove: the rest is less than a day old, or an unfinished run needs it.{packing}"
    if dry_run:
        amount = f"about {size(gone.bytes)}" + (f" ({what})" if what else "")
        return f"would free {amount}, and more by packing the rest; `interlock gc` does it"
    return f"freed {size(gone.bytes)} ({what or 'by packing'})"


def _of_workers(*, dry_run: bool) -> Collected | None:
    from interlock.machines import clean_worker
    from interlock.settings import load_settings, paths_of

    return clean_worker(load_settings(paths_of(os.environ).config), os.environ, time.time(), dry_run=dry_run)


def _is_in_repository() -> bool:
    from interlock.bootstrap import repository_of

    try:
        repository_of(Path.cwd(), os.environ)
    except UsageError:
        return False
    return True


def _workers_as_json(left: Collected) -> dict[str, object]:
    return {**collected_as_json(left), "blobs": left.blobs}


def _say_of_workers(left: Collected, *, dry_run: bool) -> None:
    if left.bytes or left.objects or left.refs:
        say(f"workers on this machine: {freed(left, dry_run=dry_run)}")
    else:
        say("workers on this machine: nothing to remove")
    note(f"stays: {why}" for why in left.stays)


def _merged(app: Application) -> list[str]:
    """Delivered branches that are merged into HEAD; not the one that is checked out."""
    from interlock.process import capture

    words = ["git", "for-each-ref", "--merged=HEAD", "--format=%(HEAD)%(refname:short)", "refs/heads/"]
    done = capture(words, cwd=app.repository, env=app.environ, timeout_s=_CALL_S)
    there = set(done.out.decode("utf-8", "replace").splitlines()) if done.code == 0 else set()
    return [run.branch for run in app.service.list_runs(_RUNS_MAX) if f" {run.branch}" in there]


def _live(app: Application) -> Iterator[str]:
    """The refs to keep: all of each unfinished run, and its base. All refs of a run that cannot be read are kept too,
    and then every base, since any may be its own."""
    from interlock.ports import InterlockError
    from interlock.readmodel.run import OVER
    from interlock.workspaces import base_ref

    for run in app.service.run_ids():
        try:
            view = app.service.locate_run(run)
        except InterlockError:
            yield f"refs/interlock/{run}/"
            yield base_ref("")
            continue
        if view.phase not in OVER:
            yield f"refs/interlock/{run}/"
            yield base_ref(view.base_commit)
            yield from _received(app, run)


def _received(app: Application, run: str) -> Iterator[str]:
    """The refs of commits that other machines made."""
    from interlock.core.events import CandidateProduced, InputPrepared
    from interlock.workspaces import received_ref

    for record in app.service.history(run):
        if isinstance(record.event, CandidateProduced | InputPrepared) and record.event.pack:
            yield received_ref(record.event.commit)

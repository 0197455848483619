"""`interlock init`: pipelines that fit the repository, on top of ready gates, asked once on what is there now."""

from __future__ import annotations

import os
import shutil
from functools import partial
from typing import TYPE_CHECKING

import click

from interlock.cli.application import application
from interlock.cli.terminal import note, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from interlock.cli.proving import GateProof
    from interlock.pipelinefile.scaffold import Known, Scaffold


@click.command()
@click.option("--force", is_flag=True, help="Replace files that differ.")
@click.option("--agent", metavar="NAME", default="", help="The agent to take; without it the first that is found.")
@click.option("--reviewer", metavar="NAME", default="", help="The agent that reviews in feature; `none` for no review.")
@click.option("--no-verify", is_flag=True, help="Write, and do not ask the gates on what is there now.")
@click.option("--json", "json", is_flag=True, help="As JSON on stdout.")
def init(force: bool, agent: str, reviewer: str, no_verify: bool, json: bool) -> int:
    """Find language, tools and agents, and write the pipelines `feature`, `quick` and `chore` into .interlock/.

    Then setup and gates run once on what is there now, and what is learned is written down: which tests fail today,
    and which gate cannot run.
    """
    from interlock.agents.probe import logged_in
    from interlock.cli.pipelines import repository_here
    from interlock.cli.words import safe
    from interlock.pipelinefile.scaffold import Known, plan_files, write
    from interlock.service.jsons import document

    root = repository_here()
    known = Known(agent, reviewer, logins=logged_in(os.environ), tag=_newest_tag(root))
    plan = partial(plan_files, root, os.environ, partial(shutil.which, path=os.environ.get("PATH")))
    scaffold = plan(known)
    written = [str(path.relative_to(root)) for path in write(scaffold, root, force)]
    found = scaffold.found
    if not json:
        note(f"found: {', '.join((*found.languages, *found.folders, *found.agents)) or 'no known language, no agent'}")
        note(f"agent: {line}" for line in _probed(scaffold.agents))
        say(safe(name) for name in written)
        note(f"note: {safe(line, 500)}" for line in scaffold.notes)
    proved = _proved(root, plan, known, scaffold) if written and not no_verify else None
    if json:
        say(document(written=written, found=found, notes=scaffold.notes, proved=proved))
        return 0
    if not written:
        note("everything was there already")
    note("next:")
    note(f"  {line}" for line in _next(scaffold, proved, is_new=bool(written)))
    return 0


def _probed(names: Sequence[str]) -> Iterator[str]:
    """What is known of the agents that were taken, without spending."""
    from interlock.agents.probe import probe

    for one in probe(os.environ, names):
        if one.path:
            yield f"{one.name} {one.version}".rstrip() + f", {one.access or 'no key and no login seen'}"


def _next(scaffold: Scaffold, proved: GateProof | None, *, is_new: bool) -> Iterator[str]:
    """What is left to do, in its order."""
    if scaffold.unfilled:
        yield "put the line that starts your coding agent into .interlock/common.yaml, under agents"
    if proved and proved.blocked:
        yield f"mend {', '.join(proved.blocked)}, as told above, until this is green: interlock check -p quick"
    elif is_new and not (proved and proved.green):
        yield "see what the gates say of what is there now: interlock check -p quick"
    if is_new:
        yield 'git add .interlock && git commit -m "Interlock pipelines"'
    yield 'interlock run -p quick -t "what is to be done"'


def _newest_tag(root: Path) -> str:
    """Empty where there is none."""
    from interlock.process import capture, scrubbed

    argv = ["git", "describe", "--tags", "--abbrev=0"]
    done = capture(argv, env=scrubbed(os.environ), cwd=root)
    return done.out.decode("utf-8", "replace").strip() if done.code == 0 else ""


def _proved(root: Path, plan: Callable[[Known], Scaffold], known: Known, scaffold: Scaffold) -> GateProof:
    """Asks the gates, and writes what was learned into the files that are as they were written."""
    from dataclasses import replace

    from interlock.cli.proving import GateProof, prove
    from interlock.pipelinefile.scaffold import Learned, write
    from interlock.ports import InterlockError

    note("setup and gates run once on what is there now; --no-verify leaves it out, Ctrl-C ends it and keeps the files")
    try:
        with application() as app:
            proved = prove(app, scaffold.tests)
    except InterlockError as error:  # the state folder, say: what was written stays good
        proved = GateProof(Learned(), green=False, why=str(error))
    if proved.why:
        note(f"not all of it was asked: {proved.why}: `interlock check` asks again")
    learned = plan(replace(known, learned=proved.learned))
    wanted = dict(learned.files)
    kept = [name for name, content in scaffold.files if (root / name).read_bytes() == content.encode()]
    files = tuple((name, wanted[name]) for name in kept if name in wanted)
    for path in write(replace(learned, files=files), root, force=True):
        note(f"written down in {path.relative_to(root)}")
    return proved

"""`interlock resume`: continue a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from interlock.cli.application import application
from interlock.cli.completing import runs
from interlock.cli.terminal import note
from interlock.ports import InfrastructureError, UsageError

if TYPE_CHECKING:
    from interlock.bootstrap import Application
    from interlock.cli.driving import DisplayOptions
    from interlock.core.views import RunSummary
    from interlock.service import AnswerRequest


@click.command()
@click.argument("run", required=False, default="", shell_complete=runs)
@click.option("--take-over", is_flag=True, help="Also from an owner that is stopped but not dead.")
@click.option("--raise", "raised", metavar="LIMIT=N", multiple=True, help="More of a limit, such as cost_usd=10.")
@click.option("--branch", metavar="NAME", default=None, help="Deliver under this name.")
@click.option("-d", "--detach", "detach", is_flag=True, help="In the background.")
@click.option("--plain", is_flag=True, help="One line for each transition, never redrawn.")
@click.option("--json", "json", is_flag=True, help="Events as NDJSON on stdout.")
def resume(
    run: str, take_over: bool, raised: tuple[str, ...], branch: str | None, detach: bool, plain: bool, json: bool
) -> int:
    """Go on with RUN: after a crash, an interrupt, or a pause of the run's own."""
    from interlock.cli.answering import unfinished
    from interlock.cli.driving import DisplayOptions, detached, drive, finish
    from interlock.cli.words import OVER
    from interlock.service.answers import check_branch, going_on, too_late

    limits = tuple(_limit(text) for text in raised)
    manner = DisplayOptions(plain, json)
    if branch is not None:
        check_branch(branch)
    with application() as app:
        found = app.service.choose_run(run, unfinished)
        if found.phase in OVER:
            if branch or limits:
                raise UsageError(too_late(found, branch or ""))
            app.owner.attend(found.id)
            note(f"run {found.id} is over")
            return finish(app, found.id, manner)
        wanted = tuple(going_on(found, limits, app.person(), branch or ""))
        if found.owner and not take_over:
            return _elsewhere(app, found, wanted, manner)
        for said in wanted:
            app.service.answer(app.service.describe_run(found.id), said)
        if detach:
            return detached(app, found.id, manner, take_over=take_over)
        return drive(app, found.id, manner, take_over=take_over, after=found.seq)


def _elsewhere(app: Application, run: RunSummary, wanted: tuple[AnswerRequest, ...], manner: DisplayOptions) -> int:
    """Its owner is told; where there is nothing to tell, the run goes on without us. Raises InfrastructureError."""
    from interlock.cli.answering import answer
    from interlock.cli.words import moment, safe
    from interlock.core.views import RunPhase

    codes = [answer(app, app.service.describe_run(run.id), said, manner) for said in wanted]
    if codes:
        return max(codes)
    sleeps = f", and waits until {moment(run.sleeps_until)}: {safe(run.why)}" if run.phase is RunPhase.SLEEPING else ""
    follow = f"`interlock watch {run.id}` follows it; --take-over is for an owner that hangs"
    raise InfrastructureError(f"run {run.id} is being run by {run.owner}{sleeps}: {follow}")


def _limit(text: str) -> tuple[str, float]:
    name, equals, amount = text.partition("=")
    try:
        if equals:
            return name, float(amount)
    except ValueError:
        pass
    raise UsageError(f"--raise {text}: expected LIMIT=N, such as cost_usd=10")

"""`interlock logs`: what an attempt or a gate printed, and the raw history of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from interlock.cli.completing import targets
from interlock.cli.opened import application, say
from interlock.cli.streams import say_bytes
from interlock.ports import UsageError

if TYPE_CHECKING:
    from interlock.cli.targets import Target
    from interlock.core.events import Evidence, VerdictGiven
    from interlock.service import Service

_BYTES_MAX = 20_000_000  # of evidence made fit for a terminal; --raw has no bound


@click.command()
@click.argument("target", nargs=-1, metavar="[RUN] [STAGE | STAGE/1.2] [GATE]", shell_complete=targets)
@click.option("--raw", is_flag=True, help="Byte for byte, control characters and all.")
@click.option("--report", is_flag=True, help="The gate's report instead of its log.")
@click.option("--json", "json", is_flag=True, help="The history of the run as NDJSON.")
def logs(target: tuple[str, ...], raw: bool, report: bool, json: bool) -> int:
    """What an attempt printed, or what GATE printed when it judged it; without a stage the story of the run."""
    from interlock.cli.targets import find_target

    with application() as app:
        found = find_target(app.service, target, app.service.latest_run)
        if json:
            say(_history(app.service, found))
        elif not found.stage:
            say(_story(app.service, found.view.id))
        else:
            item = _evidence(found, "report" if report else "log")
            _print(app.blobs.get(item.digest), raw=raw)
    return 0


def _history(service: Service, found: Target) -> Iterator[str]:
    from interlock.core.state import stage_of
    from interlock.service.jsons import event_line

    for record in service.history(found.view.id):
        if not found.stage or stage_of(record.event) == found.stage:
            yield event_line(found.view.id, record)


def _story(service: Service, run: str) -> Iterator[str]:
    from interlock.cli.follow import painted
    from interlock.cli.lines import Story

    story = Story(service.pipeline_of(run))
    for record in service.history(run):
        told = story.told(record)
        if told is not None:
            yield painted(told)


def _evidence(found: Target, name: str) -> Evidence:
    """The log of the attempt, or the log or report of its gate. Raises UsageError."""
    from interlock.cli.targets import find_attempt
    from interlock.core.ids import parse_attempt

    if len(found.rest) > 1:
        raise UsageError(f"one word too many: {found.rest[1]}: expected [RUN] STAGE/1.2 [GATE]")
    gate = found.rest[0] if found.rest else ""
    if gate and found.attempt and parse_attempt(found.attempt).number == 0:
        return _of_gate(_input_verdicts(found), gate, name, found.attempt)
    attempt = find_attempt(found)
    if gate:
        return _of_gate([view.verdict for view in attempt.verdicts], gate, name, str(attempt.id))
    item = next((item for item in attempt.evidence if item.name == "log"), None)
    if item is None:
        raise UsageError(
            f"{attempt.id} has no log: it is {attempt.phase}{' and printed nothing' if attempt.commit else ''}"
        )
    return item


def _input_verdicts(found: Target) -> list[VerdictGiven]:
    """Those on the base (STAGE/0.0) or on the input of an epoch (STAGE/2.0)."""
    stage = found.view.stage(found.stage)
    views = (*found.view.base_verdicts, *stage.input_verdicts)
    return [view.verdict for view in views if str(view.verdict.subject) == found.attempt]


def _of_gate(verdicts: Sequence[VerdictGiven], gate: str, name: str, about: str) -> Evidence:
    fitting = [verdict for verdict in verdicts if gate in (verdict.gate, verdict.gate.rpartition("/")[2])]
    if not fitting:
        known = ", ".join(dict.fromkeys(verdict.gate.rpartition("/")[2] for verdict in verdicts)) or "none"
        raise UsageError(f"{about} has no verdict of a gate {gate}: there are {known}")
    item = next((item for item in fitting[-1].evidence if item.name == name), None)
    if item is None:
        known = ", ".join(item.name for item in fitting[-1].evidence) or "nothing"
        raise UsageError(f"gate {gate} kept no {name} of {about}: it kept {known}")
    return item


def _print(content: bytes, *, raw: bool) -> None:
    if raw:
        say_bytes(content)
        return
    from interlock.core.text import plain

    say(plain(content.decode("utf-8", "replace"), _BYTES_MAX))

"""`interlock logs`: what an attempt or a gate printed, and the raw history of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from interlock.cli.application import application
from interlock.cli.targets import targets
from interlock.cli.terminal import note, say, say_bytes
from interlock.ports import UsageError

if TYPE_CHECKING:
    from interlock.application import Application
    from interlock.cli.targets import Target
    from interlock.core.events import Evidence, VerdictGiven
    from interlock.service import Service

_BASE = "base"
_BYTES_MAX = 20_000_000  # of evidence that is made safe for a terminal; --raw has no limit


@click.command()
@click.argument("target", nargs=-1, metavar="[RUN] [STAGE | STAGE/1.2 | base] [GATE]", shell_complete=targets)
@click.option("--raw", is_flag=True, help="Print the bytes unchanged, with control characters and the JSON of agents.")
@click.option("--report", is_flag=True, help="Print the gate's report instead of its log.")
@click.option("--findings", is_flag=True, help="Print all findings of the gate, if they are too many for its verdict.")
@click.option("--of", "reviewer", metavar="NAME", default="", help="Print only the log of this reviewer.")
@click.option("--json", "json", is_flag=True, help="Print the history of the run as NDJSON.")
def logs(target: tuple[str, ...], raw: bool, report: bool, findings: bool, reviewer: str, json: bool) -> int:
    """Print the output of an attempt, or of GATE when it judged the attempt. Without a stage: the events of the run.

    `base` and GATE or STAGE/GATE: what the gate printed on the base, before any attempt."""
    with application(looks=True) as app:
        found = _find(app.service, target)
        if json:
            say(_history(app.service, found))
        elif not found.stage and not found.rest:
            say(_story(app.service, found.view.id))
        else:
            evidence = _evidence_of(found)
            wanted = "findings" if findings else "report" if report else "log"
            reviews = _reviews(found, evidence, reviewer) if wanted == "log" else []
            for item in reviews:
                if not raw:
                    say(f"== {item.name.removesuffix('.log')}")
                _print(app.blobs.get(item.digest), raw=raw, of_agent=True)
            if reviews:
                return 0
            item = _choose(found, evidence, wanted)
            _print(app.blobs.get(item.digest), raw=raw, of_agent=not found.rest)
            note(_canary_note(app, evidence) if found.rest and not raw else ())
    return 0


def _find(service: Service, words: tuple[str, ...]) -> Target:
    """What the words mean. The base always has a gate, and it is meant by a stage without an attempt. Raises
    UsageError."""
    from interlock.cli.targets import Target, find_run, find_target

    if _BASE in words[:2]:
        view, rest = find_run(service, words, service.latest_run)
        if rest[:1] == (_BASE,) and all(stage.id != _BASE for stage in view.stages):
            return Target(view, attempt=_BASE, rest=rest[1:] or ("",))
    found = find_target(service, words, service.latest_run)
    if found.attempt or not found.rest or found.view.stage(found.stage).attempts:
        return found
    gate = f"{found.stage}/{found.rest[0].rpartition('/')[2]}"
    on_base = any(view.verdict.gate == gate for view in found.view.base_verdicts)
    return replace(found, attempt=_BASE, rest=(gate, *found.rest[1:])) if on_base else found


def _canary_note(app: Application, evidence: Sequence[Evidence]) -> Iterator[str]:
    """An explanation of the canary tests in a report, for people alone: no agent may know them during its run."""
    from interlock.gates.canary import added_words

    report = next((item for item in evidence if item.name == "report"), None)
    if report is not None and (names := added_words(app.blobs.get(report.digest))):
        yield f"note: tests and files named with {', '.join(names)} are Interlock's own: some must fail, to show that "
        yield "      failures are reported. Their names are new in each run, and they count for nothing else."


def _history(service: Service, found: Target) -> Iterator[str]:
    from interlock.core.state import stage_of
    from interlock.service.formats import event_line

    for record in service.history(found.view.id):
        if not found.stage or stage_of(record.event) == found.stage:
            yield event_line(found.view.id, record)


def _story(service: Service, run: str) -> Iterator[str]:
    from interlock.cli.lines import Story
    from interlock.cli.screens import painted

    story = Story(service.pipeline_of(run))
    for record in service.history(run):
        line = story.line(record)
        if line is not None:
            yield painted(line)


def _evidence_of(found: Target) -> Sequence[Evidence]:
    """The evidence of the attempt, or of its gate. Raises UsageError."""
    from interlock.cli.targets import find_attempt
    from interlock.core.ids import parse_attempt

    if len(found.rest) > 1:
        raise UsageError(f"unexpected argument: {found.rest[1]}: expected [RUN] STAGE/1.2 [GATE]")
    gate = found.rest[0] if found.rest else ""
    if found.attempt == _BASE:
        return _gate_evidence([view.verdict for view in found.view.base_verdicts], gate, "the base")
    if gate and found.attempt and parse_attempt(found.attempt).number == 0:
        return _gate_evidence(_input_verdicts(found), gate, found.attempt)
    attempt = find_attempt(found)
    if gate:
        return _gate_evidence([view.verdict for view in attempt.verdicts], gate, str(attempt.id))
    return attempt.evidence


def _choose(found: Target, evidence: Sequence[Evidence], name: str) -> Evidence:
    """The log of the attempt, or the log or report of its gate. Raises UsageError."""
    from interlock.cli.targets import find_attempt

    if found.rest:
        item = next((item for item in evidence if item.name == name), None)
        if item is None and name == "findings":
            raise UsageError(
                f"gate {found.rest[0]}: all of its findings are in its verdict: `interlock show` prints them"
            )
        if item is None:
            known = ", ".join(item.name for item in evidence) or "nothing"
            about = "the base" if found.attempt == _BASE else found.attempt or "it"
            raise UsageError(f"gate {found.rest[0]} kept no {name} of {about}: it kept {known}")
        return item
    item = next((item for item in evidence if item.name == "log"), None)
    if item is None:
        attempt = find_attempt(found)
        raise UsageError(
            f"{attempt.id} has no log: it is {attempt.phase}{' and printed nothing' if attempt.commit else ''}"
        )
    return item


def _reviews(found: Target, evidence: Sequence[Evidence], reviewer: str) -> Sequence[Evidence]:
    """The logs of a review, one for each call of a reviewer; none for another gate. Raises UsageError."""
    logs = [item for item in evidence if found.rest and item.name.endswith(".log")]
    shown = [item for item in logs if not reviewer or item.name == f"{reviewer}.log"]
    if reviewer and not shown:
        known = ", ".join(dict.fromkeys(item.name.removesuffix(".log") for item in logs)) or "none"
        raise UsageError(f"no log of a reviewer {reviewer} there: name a gate that reviews; reviewers are {known}")
    return shown


def _input_verdicts(found: Target) -> list[VerdictGiven]:
    """The verdicts on the base (STAGE/0.0) or on the input of an epoch (STAGE/2.0)."""
    stage = found.view.stage(found.stage)
    views = (*found.view.base_verdicts, *stage.input_verdicts)
    return [view.verdict for view in views if str(view.verdict.subject) == found.attempt]


def _gate_evidence(verdicts: Sequence[VerdictGiven], gate: str, about: str) -> Sequence[Evidence]:
    if not gate:
        known = ", ".join(dict.fromkeys(verdict.gate for verdict in verdicts)) or "none has judged it yet"
        raise UsageError(f"name a gate that judged {about}: {known}")
    fitting = [verdict for verdict in verdicts if gate in (verdict.gate, verdict.gate.rpartition("/")[2])]
    if not fitting:
        known = ", ".join(dict.fromkeys(verdict.gate.rpartition("/")[2] for verdict in verdicts))
        judged = f"it was judged by {known}" if known else "no gate has judged it"
        raise UsageError(f"{about} was not judged by a gate `{gate}`; {judged}")
    return fitting[-1].evidence


def _print(content: bytes, *, raw: bool, of_agent: bool) -> None:
    if raw:
        say_bytes(content)
        return
    from interlock.text.cleaning import plain

    text = content.decode("utf-8", "replace")
    if of_agent:
        from interlock.agents.logs import readable

        text = readable(text)
    say(plain(text, _BYTES_MAX))

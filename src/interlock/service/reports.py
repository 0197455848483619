"""Gate results for other tools: JUnit, SARIF, Markdown, and the annotations and the job summary of GitHub Actions.

Rule: nothing that a candidate chose is markup, or a command, to whoever reads this; of a held-out gate only the number
of its findings is shown. A run has one result for each gate, of the newest candidate of each stage; a gate that was
not asked is skipped, never passed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote
from xml.etree import ElementTree as Xml

from interlock import __version__
from interlock.core.events import Finding, Severity
from interlock.core.pipeline import Pipeline, Stage
from interlock.readmodel.reasons import about_command
from interlock.readmodel.run import RunView, StageView
from interlock.service.formats import moment, spent
from interlock.text.cleaning import clean, plain, without_place

ANNOTATIONS_MAX = 50  # GitHub shows no more of a job
_MESSAGE_MAX = 2_000
_NO_XML = re.compile("[\ufffe\uffff]")
# All that could be structure. Parentheses are none, since brackets are replaced; nor is a hyphen within a word.
_MARKUP = re.compile(
    r"""[^\w\s.,/()'";?!%-]|(?<!\w)-|-(?!\w)|(?<=\bGH)-|(?<![^\W_])_|_(?![^\W_])|(?<=www)\.""", re.ASCII | re.IGNORECASE
)
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")
_NO_ADDRESS = "&#8288;"  # a word joiner: an entity for @ alone still makes a link
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_MARKS = {"passed": "✅", "failed": "❌", "errored": "⚠️", "skipped": "⏭️"}
_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a gate. `status` is passed, failed, errored or skipped; `skipped` says why."""

    pipeline: str
    stage: str
    gate: str
    status: str
    skipped: str = ""
    findings: tuple[Finding, ...] = ()
    by: str = ""  # the person who decided

    @property
    def name(self) -> str:
        return f"{self.stage}/{self.gate}"


def run_results(pipeline: Pipeline, view: RunView) -> list[Result]:
    """Of every stage of a run, in order."""
    known = {stage.id: stage for stage in pipeline.stages}
    return [one for stage in view.stages for one in _stage_results(pipeline.name, known[stage.id], stage)]


def run_markdown(pipeline: Pipeline, view: RunView) -> str:
    """A run for a person: its phase, each stage, each gate."""
    rows = [f"| {cell(one.id)} | {one.phase.value} | {len(one.attempts)} | {one.commit[:10]} |" for one in view.stages]
    over = (
        [f"Accepted by a person although a gate did not pass: {cell(name)}", ""]
        if (name := ", ".join(view.overrides))
        else []
    )
    head = [f"## Interlock: run {view.id} is {view.phase.value}", "", cell(view.task), "", *over]
    begun = sum(len(one.attempts) for one in view.stages)
    free = f" ({begun} began; one that was lost, or that errored before it worked, does not count)"
    counted = free if begun != view.spent.attempts else ""
    facts = [f"Spent: {cell(spent(view))}{counted}. Base: {view.base_commit[:10]}. Sandbox: {view.sandbox}.", ""]
    table = ["| stage | phase | attempts begun | accepted |", "|---|---|---|---|", *rows, ""]
    return "\n".join([*head, *facts, *table, *_answers(view), summary(run_results(pipeline, view)).rstrip("\n")])


def _answers(view: RunView) -> Iterator[str]:
    """What people answered, with their comments. Refused answers changed nothing and are left out."""
    taken = [reply for reply in view.replies if not reply.refused]
    if not taken:
        return
    yield from ("| answer | about | by | at | comment |", "|---|---|---|---|---|")
    for reply in taken:
        told = reply.answer
        about = " ".join(filter(None, (str(told.subject or told.stage), told.gate.rpartition("/")[2])))
        columns = (told.action.value, about, plain(told.by, 120), moment(reply.at), plain(told.comment, _MESSAGE_MAX))
        yield f"| {' | '.join(map(cell, columns))} |"
    yield ""


def junit(results: Sequence[Result]) -> str:
    """A test suite for each stage, a test case for each gate."""
    totals = {name: count for name, count in _counts(results).items() if name != "skipped"}  # only suites count these
    root = Xml.Element("testsuites", {"name": "interlock", **totals})
    for suite in dict.fromkeys((one.pipeline, one.stage) for one in results):
        of_suite = [one for one in results if (one.pipeline, one.stage) == suite]
        element = Xml.SubElement(root, "testsuite", {"name": ".".join(filter(None, suite)), **_counts(of_suite)})
        for one in of_suite:
            _add_case(element, one)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def sarif(results: Sequence[Result]) -> str:
    """SARIF 2.1.0. A gate that errored is a notification, and makes the invocation a failed one."""
    rules = dict.fromkeys(_rule(one, finding) for one in results for finding in _of_failed(one))
    driver = {"name": "interlock", "version": __version__, "rules": [{"id": rule} for rule in rules]}
    errors = [_notification(one) for one in results if one.status == "errored"]
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": not errors, "toolExecutionNotifications": errors}],
        "results": [_sarif_result(one, finding) for one in results for finding in _of_failed(one)],
    }
    return json.dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def workflow_commands(results: Sequence[Result]) -> Iterator[str]:
    """Workflow commands of GitHub Actions, a line each; the last one says how many findings are not shown."""
    found = [(one, finding) for one in results for finding in _visible(one) if one.status in ("failed", "errored")]
    shown = found if len(found) <= ANNOTATIONS_MAX else found[: ANNOTATIONS_MAX - 1]
    for one, finding in shown:
        yield _annotation(one, finding)
    if len(found) > len(shown):
        yield f"::error title=interlock::{len(found) - len(shown)} more findings are in the log"


def summary(results: Sequence[Result]) -> str:
    """Markdown for the page of a job."""
    rows = [f"| {_MARKS[one.status]} | {cell(one.name)} | {one.status} | {cell(_why(one))} |" for one in results]
    verdict = _verdict(results)
    return "\n".join(
        [f"### Interlock: {verdict}", "", "| | gate | verdict | why |", "|---|---|---|---|", *rows, "", ""]
    )


def cell(text: str) -> str:
    """One line that is never structure in Markdown, nor markup in HTML: what could be stands as entities."""
    escaped = _MARKUP.sub(_entity, " ".join(clean(text).split()))
    return _NUMBERED.sub(lambda found: f"{found[1]}&#{ord(found[2])};", escaped)


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};{_NO_ADDRESS if found[0] == '@' else ''}"


def _stage_results(pipeline: str, stage: Stage, seen: StageView) -> Iterator[Result]:
    """The newest verdict of each gate on the newest candidate; for a stage without a worker, on its input."""
    verdicts = seen.attempts[-1].verdicts if seen.attempts else seen.input_verdicts
    newest = {item.verdict.gate: item.verdict for item in verdicts}
    for gate in stage.gates:
        verdict = newest.get(f"{stage.id}/{gate.id}")
        if verdict is None:
            why = seen.skipped or f"no verdict: the stage is {seen.phase.value}"
            yield Result(pipeline, stage.id, gate.id, "skipped", why)
        else:
            found = verdict.findings
            yield Result(pipeline, stage.id, gate.id, verdict.status.value, findings=found, by=verdict.by)


def _verdict(results: Sequence[Result]) -> str:
    statuses = {one.status for one in results}
    if "failed" in statuses:
        return "a gate failed"
    if "errored" in statuses:
        return "a gate errored"
    return "no gate failed" if "passed" in statuses else "nothing was checked"


def _why(one: Result) -> str:
    if said := about_command(one.findings) if one.status == "passed" else "":
        return f"note: {plain(said, 300)}"
    first = next(_visible(one), None) if one.status in ("failed", "errored") else None
    why = one.skipped or (_message(first, 200) if first else "")
    return ": ".join(filter(None, (f"by {plain(one.by, 120)}" if one.by else "", why)))


def _visible(one: Result) -> Iterator[Finding]:
    """The findings to show: held-out ones are one together, and a gate without any gets one."""
    hidden = sum(finding.secret for finding in one.findings)
    if hidden:
        yield Finding("held_out", f"{hidden} of its findings are held out")
    yield from (finding for finding in one.findings if not finding.secret)
    if not one.findings:
        yield Finding(one.status, f"the gate {one.name} {one.status}")


def _of_failed(one: Result) -> Iterator[Finding]:
    return _visible(one) if one.status == "failed" else iter(())


def _counts(results: Sequence[Result]) -> dict[str, str]:
    names = {"failures": "failed", "errors": "errored", "skipped": "skipped"}
    counted = {name: sum(one.status == status for one in results) for name, status in names.items()}
    return {name: str(number) for name, number in {"tests": len(results), **counted}.items()}


def _add_case(suite: Xml.Element, one: Result) -> None:
    case = Xml.SubElement(suite, "testcase", classname=".".join(filter(None, (one.pipeline, one.stage))), name=one.gate)
    if one.status == "skipped":
        Xml.SubElement(case, "skipped", message=_xml(plain(one.skipped, _MESSAGE_MAX)))
    elif one.status != "passed":
        findings = list(_visible(one))
        element = Xml.SubElement(case, "failure" if one.status == "failed" else "error")
        element.set("message", _xml(_message(findings[0], 200)))
        element.set("type", _xml(plain(findings[0].rule, 100)))
        element.text = _xml("\n".join(_line(finding) for finding in findings))


def _line(finding: Finding) -> str:
    where = f"{plain(finding.file, 300)}:{finding.line}: " if finding.file else ""
    return f"{where}{plain(finding.rule, 100)}: {_message(finding)}"


def _xml(text: str) -> str:
    return _NO_XML.sub("", text)


def _rule(one: Result, finding: Finding) -> str:
    return f"{one.name}/{plain(finding.rule, 100)}"


def _sarif_result(one: Result, finding: Finding) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": _rule(one, finding),
        "level": finding.severity.value,
        "message": {"text": _message(finding)},
    }
    if finding.file:
        uri = quote(finding.file.encode("utf-8", "surrogateescape"))
        physical: dict[str, object] = {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}}
        if finding.line:
            physical["region"] = {"startLine": finding.line}
        result["locations"] = [{"physicalLocation": physical}]
    return result


def _notification(one: Result) -> dict[str, object]:
    text = "\n".join(_line(finding) for finding in _visible(one))
    return {"level": "error", "descriptor": {"id": one.name}, "message": {"text": text}}


def _annotation(one: Result, finding: Finding) -> str:
    properties = {"title": one.name}
    if finding.file:
        properties = {"file": plain(finding.file, 300), "line": str(finding.line or 1), **properties}
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{_COMMANDS[finding.severity]} {listed}::{_data(f'{plain(finding.rule, 100)}: {_message(finding)}')}"


def _message(finding: Finding, limit: int = _MESSAGE_MAX) -> str:
    return plain(without_place(finding.message, finding.file, finding.line), limit)  # the place is shown beside it


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

"""The traces gate: each id of an earlier document is named in the work that follows from it.

Rule: it checks that an id is named, not that it is fulfilled, which is for tests and reviews. With `proven` an id
counts only if it is named by a test (in its id or its source) that fails without the change and passes with it. A
document without ids cannot be traced and never passes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock.conventions.judge_files import RESERVED
from interlock.core.events import Finding, VerdictStatus
from interlock.core.pipeline import ARTIFACTS, Expect, Gate, GateOptions, Pipeline, Stage
from interlock.gates.kinds import KeyPath, Kind, OutsideRun, View, option, options_of
from interlock.ports import Cancel, Cancelled, GateRequest, Judgement, UsageError
from interlock.text.cleaning import cut, glob_here, path_here

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.gates.referee import GateContext

_FILE_MAX = 1_000_000  # bytes; larger files are data, and name no requirement
_FILES_MAX = 20_000
_EVERYWHERE = ("**", f"!/{RESERVED}")


@dataclass(frozen=True, slots=True)
class Traces(GateOptions):
    """Each id that `pattern` finds in the document `of` (STAGE/NAME) is named in a file that `within` matches."""

    of: str
    within: tuple[str, ...] = option(
        default=(), key="in", form="glob"
    )  # empty: the stage's own documents, or all files
    pattern: str = ""  # a regular expression; empty: ids such as REQ-12
    proven: bool = option(
        "An id counts if it is named in a test that fails on the input and passes on the candidate.", default=False
    )

    @property
    def reads_verdicts(self) -> bool:
        return self.proven


def check(view: View, stage: Stage, gate: Gate, at: KeyPath) -> None:
    traces = options_of(gate, Traces)
    known = view.documents(stage) - {f"{stage.id}/{made.name}" for made in stage.produces}
    if traces.of not in known and stage.id not in view.partial:
        hint = view.nearest(traces.of, known, f"name a document of a stage that {stage.id} depends on, as STAGE/NAME")
        view.error((*at, "of"), f"there is no document {traces.of} before {stage.id}", hint)
    before = stage.gates[: stage.gates.index(gate)]
    if traces.proven and not any(other.expect is Expect.TESTS_PROVE_CHANGE for other in before):
        hint = "put a gate with `expect: tests_prove_change` before it"
        view.at_key((*at, "proven"), f"no gate of {stage.id} before {gate.id} proves anything", hint)
    try:
        re.compile(f"(?:{traces.pattern})")
    except re.error as error:
        hint = r"write one such as REQ-\d+"
        view.error((*at, "pattern"), f"{traces.pattern} is not a regular expression: {error}", hint)


def judge(context: GateContext, request: GateRequest, cancel: Cancel) -> Judgement:
    """Failed with each id that is named nowhere; errored if there is no id, or too much to read."""
    from interlock.gates.documents import document, ids_in

    traces = options_of(request.gate, Traces)
    wanted = dict.fromkeys(ids_in(document(context, request, traces.of), traces.pattern))
    if not wanted:
        shown = f"that {traces.pattern} matches" if traces.pattern else "such as REQ-1"
        return _undecided(f"{traces.of} contains no id {shown}: its stage must give each requirement an id")
    if traces.proven:
        return _in_proofs(context, request, traces, wanted)
    globs = traces.within or _own(request)
    paths = context.workspaces.files(request.commit, globs)
    if len(paths) > _FILES_MAX:
        return _undecided(f"{len(paths)} files to read: select fewer than {_FILES_MAX} with `in`")
    for found in _named(context, request, paths, traces.pattern, cancel):
        for name in found & wanted.keys():
            del wanted[name]
        if not wanted:
            return Judgement(VerdictStatus.PASSED)
    return Judgement(VerdictStatus.FAILED, tuple(_untraced(traces, name, globs) for name in wanted))


def _in_proofs(context: GateContext, request: GateRequest, traces: Traces, wanted: dict[str, None]) -> Judgement:
    """The judgement by the proofs of the stage's own gates for this candidate."""
    from interlock.gates.documents import ids_in
    from interlock.gates.proof import PROVEN, sources

    found: set[str] = set()
    for verdict in request.hard_verdicts:
        digest = verdict.evidence_of(PROVEN)
        if verdict.status is VerdictStatus.PASSED and digest:
            for text in sources(context, request, context.blobs.get(digest), traces.within):
                found |= set(ids_in(text, traces.pattern))
    where = "a test that fails without the change and passes with it"
    message = f"%s of {traces.of} is not named in {where}: name it in the test that shows it"
    missing = tuple(Finding("unproven", message % name) for name in wanted if name not in found)
    return Judgement(VerdictStatus.FAILED if missing else VerdictStatus.PASSED, missing)


def _own(request: GateRequest) -> tuple[str, ...]:
    """The stage's own documents, or every file if it writes none."""
    made = tuple(f"/{ARTIFACTS}/{request.stage.id}/{artifact.file}" for artifact in request.stage.produces)
    return made or _EVERYWHERE


def _named(
    context: GateContext, request: GateRequest, paths: tuple[str, ...], pattern: str, cancel: Cancel
) -> Iterator[set[str]]:
    """The ids in each file."""
    from interlock.gates.documents import ids_in

    for path in paths:
        if cancel.is_set():
            raise Cancelled(f"{request.stage.id}/{request.gate.id}: no longer wanted")
        try:
            content = context.workspaces.read(request.commit, path, _FILE_MAX)
        except UsageError:
            continue
        yield set(ids_in((content or b"").decode("utf-8", "replace"), pattern))


def _untraced(traces: Traces, name: str, globs: tuple[str, ...]) -> Finding:
    where = "any file" if globs is _EVERYWHERE else ", ".join(globs)
    return Finding("untraced", f"{name} of {traces.of} is not named in {where}: write there where it is met")


def _undecided(why: str) -> Judgement:
    return Judgement(VerdictStatus.ERRORED, (Finding("traces", why),), permanent=True)


def _outside_run(gate: Gate, conditions: OutsideRun) -> str:
    if not conditions.inside:
        return "artifacts exist only in a run"
    return "depends on what another gate proved about an attempt" if options_of(gate, Traces).proven else ""


def _brief_line(pipeline: Pipeline, stage: Stage, gate: Gate) -> str:
    traces = options_of(gate, Traces)
    ids = f"each id that `{cut(traces.pattern, 80)}` matches" if traces.pattern else "each id such as REQ-12"
    if traces.proven:
        where = "in a new test that fails without the change and passes with it"
    elif traces.within:
        where = f"in {cut(', '.join(glob_here(stage.dir, glob) for glob in traces.within), 240)}"
    else:
        where = "in the documents of this stage" if stage.produces else "in some file"
    return f"{ids} in {_document(pipeline, stage, traces.of)} is named {where}"


def _document(pipeline: Pipeline, stage: Stage, name: str) -> str:
    maker, _, artifact = name.partition("/")
    made = [each for each in pipeline.stage(maker).produces if each.name == artifact]
    return f"`{path_here(stage.dir, f'{ARTIFACTS}/{maker}/{made[0].file}')}`" if made else name


def _plan_line(gate: Gate) -> str:
    traces = options_of(gate, Traces)
    return f"each id of {traces.of}" + (" in tests that prove the change" if traces.proven else "")


KIND = Kind(
    "traces",
    "",
    judge,
    options=Traces,
    names_files=False,
    only_reads=True,
    check=check,
    outside_run=_outside_run,
    brief_line=_brief_line,
    plan_line=_plan_line,
)

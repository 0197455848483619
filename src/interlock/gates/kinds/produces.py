"""The produces gate: a stage's declared artifacts exist, are regular files, and match their schema and sections.

Rule: artifacts are read from the candidate's tree, never from a checkout. A schema can refer to nothing outside itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.core.events import Finding, VerdictStatus
from interlock.core.pipeline import ARTIFACTS, Artifact, Gate, Pipeline, Stage
from interlock.gates.kinds import Kind, OutsideRun
from interlock.ports import Cancel, GateRequest, Judgement, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.gates.referee import GateContext


def judge(context: GateContext, request: GateRequest, cancel: Cancel) -> Judgement:
    """Failed with what each artifact lacks; errored if a schema itself is wrong."""
    from interlock.gates import documents

    findings: list[Finding] = []
    try:
        for artifact in request.stage.produces:
            findings.extend(_artifact(context, request, artifact))
    except documents.BadSchema as error:
        return Judgement(VerdictStatus.ERRORED, (Finding("schema", str(error)),), permanent=True)
    return Judgement(VerdictStatus.FAILED if findings else VerdictStatus.PASSED, tuple(findings))


def _artifact(context: GateContext, request: GateRequest, artifact: Artifact) -> Iterator[Finding]:
    path = f"{ARTIFACTS}/{request.stage.id}/{artifact.file}"
    try:
        content = context.workspaces.read(request.commit, path, artifact.max_bytes)
    except UsageError:
        yield Finding("size", f"{path}: larger than {artifact.max_bytes} bytes: make it shorter", file=path)
        return
    if content is None:
        yield Finding("missing", f"{path}: {_what_exists(context, request, path)}: write the artifact there", file=path)
    elif not content.strip():
        yield Finding("empty", f"{path}: the artifact is empty: write its content", file=path)
    else:
        yield from _shape(artifact, path, content)


def _what_exists(context: GateContext, request: GateRequest, path: str) -> str:
    """What exists in place of a regular file."""
    for change in context.workspaces.changes(request.input_tree, request.tree):
        if change.path == path and change.new_mode.startswith("12"):
            return "is a symbolic link, not a regular file"
        if change.path.startswith(f"{path}/"):
            return "is a folder, not a regular file"
    return "there is no such file"


def _shape(artifact: Artifact, path: str, content: bytes) -> Iterator[Finding]:
    from interlock.gates import documents

    if artifact.schema is not None:
        for line, message in documents.mistakes(artifact.schema, content):
            yield Finding("schema", f"{path}:{line}: {message}", file=path, line=line)
    if artifact.sections:
        there = documents.headings(content.decode("utf-8", "replace"))
        for section in artifact.sections:
            if documents.normal(section) not in there:
                shown = ", ".join(list(there.values())[:12]) or "none"
                message = f"{path}: no section {section!r}: add the heading `## {section}` (headings there: {shown})"
                yield Finding("section", message, file=path)


def _outside_run(gate: Gate, conditions: OutsideRun) -> str:
    if conditions.inside:
        return ""
    return "nothing differs from the base" if conditions.unchanged else "artifacts exist only in a run"


def _brief_line(pipeline: Pipeline, stage: Stage, gate: Gate) -> str:
    return "the documents are there, as they are asked for below"


KIND = Kind("produces", "", judge, is_written=False, only_reads=True, outside_run=_outside_run, brief_line=_brief_line)

"""The brief: the rendered prompt, what to produce, the bounds, and what was wrong last time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from interlock.core.commands import StartAttempt
from interlock.core.events import Finding
from interlock.core.globs import matches_any
from interlock.core.growth import guards
from interlock.core.joins import DECISIONS, DELETED, EDITED, choices, described
from interlock.core.judge_files import matches_in_any_case
from interlock.core.pipeline import Expect, Pipeline, Stage
from interlock.core.reconciled import may_hold_both
from interlock.core.text import without_place
from interlock.execution.context import Context
from interlock.execution.documents import ARTIFACTS
from interlock.ports import Place, World

ARTIFACT_MAX = 200_000  # bytes of one artifact in a prompt
_DIGEST_LENGTH = 64
_TAKEN_BACK = (
    "Your work was judged and rejected. The files are again as they were before you began, so do all of it anew, "
    "within the same bounds, and mend what was wrong. This may be another folder than before: work in the current one."
)


def compose(world: World, context: Context, command: StartAttempt, place: Place) -> str:
    """The text that an agent is given; what it names is laid into `place`. Raises UsageError where a template fails."""
    stage = context.pipeline.stage(command.attempt.stage)
    said = [_feedback(world, place, digest) for digest in command.feedback]
    parts = [world.render(stage.prompt.content, _values(world, context, command, said))]
    parts.extend(_bounds(context.pipeline, stage, command.inherited))
    parts.extend(_conflicts(stage, command))
    if command.broken:
        parts.append("## The merged input fails its gates\n" + _bullets(_said("", item) for item in command.broken))
    parts.extend(said)
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def compose_resumed(world: World, command: StartAttempt, place: Place) -> str:
    """The text for an agent that goes on with its own session, and knows the brief."""
    parts = [_TAKEN_BACK, *(_feedback(world, place, digest) for digest in command.feedback[-1:])]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _values(world: World, context: Context, command: StartAttempt, feedback: list[str]) -> dict[str, object]:
    stage_id = command.attempt.stage
    return {
        "task": context.started.task,
        "inputs": dict(context.started.inputs),
        "run": {"id": context.run},
        "stage": {"id": stage_id},
        "artifacts": dict(_artifacts(world, context, command)),
        "feedback": "\n\n".join(feedback),
    }


def _artifacts(world: World, context: Context, command: StartAttempt) -> Iterator[tuple[str, str]]:
    for name in context.pipeline.upstream(command.attempt.stage):
        for artifact in context.pipeline.stage(name).produces:
            path = f"{ARTIFACTS}/{name}/{artifact.file}"
            content = world.workspaces.read(command.input_commit, path, max_bytes=artifact.max_bytes)
            if content is not None:
                yield f"{name}/{artifact.name}", content[:ARTIFACT_MAX].decode("utf-8", "replace")


def _bounds(pipeline: Pipeline, stage: Stage, inherited: Sequence[str]) -> Iterator[str]:
    if stage.produces:
        documents = (f"{ARTIFACTS}/{stage.id}/{artifact.file}" for artifact in stage.produces)
        yield "## Write these documents\n" + _bullets(documents)
    added = tuple(f"new test files in {glob}" for glob in stage.scope.adds)
    if added and any(guards(pipeline, stage)):
        added = (*added, "new tests in test files that are there: below the old ones, with every old line kept")
        if any(gate.used.startswith("rust.") for gate in guards(pipeline, stage)):
            added = (*added, "new tests inside sources, under `#[cfg(test)]`: what is there stays")
    if stage.scope.writes is not None:
        allowed = (*stage.scope.writes, *stage.scope.authors, *added)
        yield "## Change nothing but\n" + (_bullets(allowed) if allowed else "the documents named above.")
    elif added:
        yield "## Tests\nThe tests that are there stay as they are. You may add\n" + _bullets(added)
    if any(gate.expect is Expect.TESTS_PROVE_CHANGE for gate in stage.gates):
        yield "Write new tests for your change: they must pass with it, and at least one must fail without it."
    if any(gate.expect is Expect.NEW_TESTS_FAIL for gate in stage.gates):
        yield "Each new test must fail now, for an assertion or a missing name, and nothing else may fail."
    names = [gate.id for gate in stage.gates]
    if inherited:
        names += [f"{gate}, as the work that was merged was" for gate in inherited]
    if names:
        yield "## Your work is judged by\n" + _bullets(names)


def _conflicts(stage: Stage, command: StartAttempt) -> Iterator[str]:
    """What merging could not do: where markers are, and what is to be decided by name."""
    if not command.conflicts:
        return
    names = [name for name, _ in command.sides]
    of = f" of {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else ""
    yield f"## Conflicts\nYou start from a merge{of}, which are in conflict."
    bare = {item.path for item in command.undecided if not item.marked}
    marked = [path for path in command.conflicts if path not in bare]
    if marked:
        yield "Merging left markers in these files. Merge both sides and remove the markers:\n" + _bullets(marked)
    held = [path for path in marked if _is_held(stage, path)]
    if held:
        yield "These of them are protected. Take each as one side has it:\n" + _bullets(
            f"{path}, or keep every line of both sides and add nothing" if may_hold_both(path) else path
            for path in held
        )
    if command.undecided:
        yield "These paths have no markers that show the conflict. Decide each:\n" + _bullets(
            f"{item.path}: {described(item)}. Now it is {item.left}." for item in command.undecided
        )
        yield _how_to_decide(command)
    if names:
        branches = ", ".join(f"`from/{name}`" for name in names)
        yield (
            f"Each side is a branch here ({branches}): `git checkout from/{names[0]} -- PATH` takes its version, and"
            f" `git diff -M from/{names[0]} from/{names[-1]}` shows what was moved elsewhere."
        )


def _is_held(stage: Stage, path: str) -> bool:
    authors = [glob for glob in stage.scope.authors if "#" not in glob]
    return matches_in_any_case(stage.scope.protect, path) and not matches_any(authors, path)


def _how_to_decide(command: StartAttempt) -> str:
    file = f"{ARTIFACTS}/{command.attempt.stage}/{DECISIONS}"
    options = ", ".join(f"{json.dumps(item.path)}: {' | '.join(map(json.dumps, choices(item)))}"
                        for item in command.undecided)  # fmt: skip
    return (
        f"Make each of them as it should be, and write what you decided into `{file}`: a JSON object with one entry for"
        " each path. The name of a stage means that the path is exactly as that stage left it;"
        f' "{DELETED}", that no file is there; "{EDITED}", that you made the file of both. The choices:\n'
        f"```\n{{{options}}}\n```\nWhat is not decided there, or not as decided, is rejected."
    )


def _feedback(world: World, place: Place, digest: str) -> str:
    document = json.loads(world.blobs.get(digest))
    if "comment" in document:
        return f"## {document['by']} says\n{document['comment']}"
    lines = [f"## {document['attempt']} was rejected", *(f"- {line}" for line in document["findings"])]
    for gate, tail in document["output"].items():
        lines.append(f"\nEnd of the output of {gate}:\n```\n{tail}\n```")
    lines.append(f"\nThe rejected patch: {_laid(world, place, document)}")
    return "\n".join(lines)


def _laid(world: World, place: Place, document: Mapping[str, str]) -> Path:
    """A copy of the patch, which the agent may know of: nothing of ours is named to it. Earlier versions kept the
    path of a blob, whose last two parts are the digest."""
    digest = document["patch"].replace("/", "")[-_DIGEST_LENGTH:]
    name = re.sub(r"[^\w.@-]", "-", document["attempt"])
    return world.workspaces.put_beside(place, f"{name}.patch", world.blobs.get(digest))


def _said(gate: str, finding: Finding) -> str:
    where = f"{finding.file}:{finding.line}: " if finding.line else f"{finding.file}: " if finding.file else ""
    return f"{gate} {where}{without_place(finding.message, finding.file, finding.line)}".strip()


def _bullets(lines: object) -> str:
    return "\n".join(f"- {line}" for line in lines)  # type: ignore[attr-defined]
